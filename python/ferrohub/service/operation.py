"""One operation of the REST interface, described; and the two halves of every call, without I/O.

`prepare` turns an operation and its arguments into a request, `interpret` a response into the result or an
exception. What lies between, sending and waiting, is the clients' business: so a client that blocks and one
that awaits share everything here.
https://learn.microsoft.com/rest/api/iothub/service/
"""

from __future__ import annotations

from ferrohub.service import errors
from ferrohub.service.model import Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Callable, Generic, Optional, TypeVar

    from ferrohub.service.response import Response

    Result = TypeVar("Result")
    AnyModel = TypeVar("AnyModel", bound=Model)
    IfMatch = Callable[[Any], Optional[str]]
else:

    class Generic:
        """Stands in for the one of typing, which only type checkers need."""

        def __class_getitem__(cls, _parameters: object) -> type[Generic]:
            return cls

    Result = None


API_VERSION = "2021-04-12"

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")


class Operation(Generic[Result]):
    """How to ask for one thing, and how to read the answer.

    `path` names its arguments in braces. `query` lists optional arguments and their types; they come before
    the API version. `body` is the model that is sent. `if_match` makes the If-Match header of an etag.
    `success` are the statuses of a good answer, and `returns` reads its JSON (None: there is nothing to
    read).
    """

    __slots__ = ("_texts", "body", "if_match", "method", "parameters", "query", "returns", "success")

    def __init__(
        self,
        method: str,
        path: str,
        returns: Callable[[Any], Result] | None = None,
        *,
        query: Sequence[tuple[str, Callable[[Any], Any]]] = (),
        body: type[Model] | None = None,
        if_match: IfMatch | None = None,
        success: tuple[int, ...] = (200,),
    ) -> None:
        self.method = method
        self.returns = returns
        self.query = query
        self.body = body
        self.if_match = if_match
        self.success = success
        # "/devices/{id}/modules" is the texts "/devices/" and "/modules" around the parameter "id".
        pieces = path.replace("}", "{").split("{")
        self._texts = pieces[0::2]
        self.parameters = pieces[1::2]

    def address(self, path: Sequence[Any], query: Sequence[Any]) -> str:
        """The path and query for these arguments."""
        address = self._texts[0]
        for name, value, text in zip(self.parameters, path, self._texts[1:]):
            if value is None:
                raise errors.validation_error("required", name, True)
            address += quote(str(value)) + text
        pairs = [(name, kind(value)) for (name, kind), value in zip(self.query, query) if value is not None]
        optional = "".join(f"{name}={quote(str(value))}&" for name, value in pairs)
        return f"{address}?{optional}api-version={API_VERSION}"


class Request:
    """A request ready to be sent; the transport adds host, user agent and authorization."""

    __slots__ = ("body", "headers", "method", "target")

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes | None) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body


def prepare(
    operation: Operation[Any],
    path: Sequence[Any] = (),
    *,
    query: Sequence[Any] = (),
    body: Any = None,
    etag: Any = None,
) -> Request:
    """The request for an operation.

    Raises msrest's ValidationError if an argument is None that may not be, azure-core's SerializationError if
    the body does not fit its model.
    """
    target = operation.address(path, query)
    headers = [("Accept", "application/json")]
    content = None
    if operation.body is not None:
        content = _written(operation.body, body)
        headers.append(("Content-Type", "application/json; charset=utf-8"))
    condition = operation.if_match(etag) if operation.if_match is not None else None
    if condition is not None:
        headers.append(("If-Match", condition))
    return Request(operation.method, target, headers, content)


def _written(model: type[Model], body: Any) -> bytes:
    """The body as JSON, with Python's separators and escapes."""
    if body is None:
        raise errors.validation_error("required", "body", True)
    if not isinstance(body, Model):
        try:
            body = model.from_dict(body)
        except ValueError as error:
            raise errors.serialization_error(f"Unable to build a model: {error}") from error
    import json  # slow to import; a program that only names the classes does without

    body.validate()
    return json.dumps(body.serialize()).encode("ascii")


def interpret(operation: Operation[Result], response: Response) -> Result:
    """The result of a response. An empty one gives None whatever the operation: the hub never sends it, and
    programs written for the official package know it so.

    Raises HttpOperationError for a status that is no success, azure-core's DeserializationError for an answer
    that can't be read.
    """
    if response.status_code not in operation.success:
        raise errors.refused(response)
    result: Any = None
    if operation.returns is not None:
        data = _read(response)
        result = None if data is None else operation.returns(data)
    return result  # type: ignore[no-any-return]


def _read(response: Response) -> Any:
    """The JSON of an answer; a missing Content-Type counts as JSON."""
    content_type = response.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not response.content:
        return None
    # The official package falls back from XML to JSON.
    if content_type.partition("/")[0] not in ("application", "text") or not content_type.endswith(("json", "xml")):
        raise errors.deserialization_error(f"Cannot deserialize content-type: {content_type}")
    try:
        return response.json()
    except ValueError as error:
        raise errors.deserialization_error(f"JSON is invalid: {error}") from error


def list_of(model: type[AnyModel]) -> Callable[[Any], list[AnyModel]]:
    """Reads a JSON array of a model."""

    def read(data: Any) -> list[AnyModel]:
        if not isinstance(data, list):
            text = f"Cannot deserialize as [{model.__name__}] an object of type {type(data)}"
            raise errors.deserialization_error(text)
        return [model.deserialize(item) for item in data]

    return read


def quoted_or_star(etag: Any) -> str:
    """The If-Match of identities and twins: the etag in double quotes unless it has them, `"*"` for None.

    Anything but a str is sent as its text.
    """
    if etag is None:
        return '"*"'
    if not isinstance(etag, str):
        return str(etag)
    quoted = len(etag) > 1 and etag.startswith('"') and etag.endswith('"')
    return etag if quoted else f'"{etag}"'


def quote(text: str) -> str:
    """Percent-encode all but letters, digits and `_.-~`, as urllib.parse does, which is slow to import."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
