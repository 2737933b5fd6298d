"""One operation of the REST interface, described; and the two halves of every request, without I/O.

`prepare` turns an operation and its arguments into a request, `interpret` a response into the result or an
exception. What lies between, sending and waiting, is the clients' business: so a client that blocks and one
that awaits share everything here.
https://learn.microsoft.com/rest/api/iothub/service/
"""

from __future__ import annotations

from ferrohub.service import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Callable, Generic, TypeVar

    from ferrohub.service.model import Model
    from ferrohub.service.response import Response

    Result = TypeVar("Result")
    AnyModel = TypeVar("AnyModel", bound=Model)
    # The name on the wire of an optional argument, and how its value is coerced.
    Option = tuple[str, Callable[[Any], Any]]
else:

    class Generic:
        """Stands in for the one of typing, which only type checkers need."""

        def __class_getitem__(cls, _parameters: object) -> type[Generic]:
            return cls

    Result = AnyModel = None


API_VERSION = "2021-04-12"
DEFAULT_TIMEOUT = 100.0
"""Seconds for a call, with all its attempts, unless what it asks for takes longer."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")


class Operation(Generic[Result]):
    """How to ask for one thing, and how to read the answer.

    `path` names its arguments in braces. Optional arguments are sent in the query (`query`; `late_query` for
    those that stand behind the API version) or as headers, and are given in this order. `body` writes the
    argument that is sent. `success` are the statuses of a good answer, and `returns` reads its JSON (None:
    there is nothing to read). A POST or PATCH that may be done twice is `repeatable`: it is tried again as a PUT is.
    `takes` tells from the options and the body how many seconds the hub may need for it.
    """

    __slots__ = (
        "_texts",
        "body",
        "headers",
        "late_query",
        "method",
        "options",
        "parameters",
        "query",
        "repeatable",
        "returns",
        "success",
        "takes",
    )

    def __init__(
        self,
        method: str,
        path: str,
        returns: Callable[[Any], Result] | None = None,
        *,
        body: Callable[[Any], Any] | None = None,
        query: Sequence[Option] = (),
        late_query: Sequence[Option] = (),
        headers: Sequence[Option] = (),
        success: tuple[int, ...] = (200,),
        repeatable: bool = False,
        takes: Callable[[dict[str, str], Any], float] | None = None,
    ) -> None:
        self.method = method
        self.repeatable = repeatable
        self.takes = takes
        self.returns = returns
        self.body = body
        self.query = query
        self.late_query = late_query
        self.headers = headers
        self.success = success
        # All optional arguments, in the order in which they are given.
        self.options = (*query, *late_query, *headers)
        # "/devices/{id}/modules" is the texts "/devices/" and "/modules" around the parameter "id".
        pieces = path.replace("}", "{").split("{")
        self._texts = pieces[0::2]
        self.parameters = pieces[1::2]

    def address(self, path: Sequence[Any], options: dict[str, str]) -> str:
        """The path and query for these arguments."""
        address = self._texts[0]
        for name, value, text in zip(self.parameters, path, self._texts[1:]):
            if value is None:
                raise errors.validation_error("required", name, True)
            address += quote(str(value)) + text
        if not options:
            return f"{address}?api-version={API_VERSION}"
        early = "".join(f"{name}={quote(options[name])}&" for name, _ in self.query if name in options)
        late = "".join(f"&{name}={quote(options[name])}" for name, _ in self.late_query if name in options)
        return f"{address}?{early}api-version={API_VERSION}{late}"


class Request:
    """A request ready to be sent; the transport adds host, user agent and authorization.

    `repeatable` is as in `Operation`. `timeout` is in seconds, over all attempts; None is what the client has, but what
    the request `takes` at least.
    """

    __slots__ = ("body", "headers", "method", "repeatable", "takes", "target", "timeout")

    def __init__(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None,
        repeatable: bool,
        timeout: float | None = None,
        takes: float = 0.0,
    ) -> None:
        self.method = method
        self.repeatable = repeatable
        self.takes = takes
        self.target = target
        self.headers = headers
        self.body = body
        self.timeout = timeout


def prepare(
    operation: Operation[Any],
    path: Sequence[Any] = (),
    *,
    options: Sequence[Any] = (),
    body: Any = None,
    if_match: Any = None,
    timeout: float | None = None,
) -> Request:
    """The request for an operation.

    Raises msrest's ValidationError if an argument is None that may not be, azure-core's SerializationError if
    the body does not fit its model.
    """
    given = {name: str(kind(value)) for (name, kind), value in zip(operation.options, options) if value is not None}
    target = operation.address(path, given)
    headers = [("Accept", "application/json")]
    content = written = None
    if operation.body is not None:
        content = _content(operation.body, body)
        written = _written(content)
        headers.append(("Content-Type", "application/json; charset=utf-8"))
    if if_match is not None:
        headers.append(("If-Match", str(if_match)))
    headers.extend((name, given[name]) for name, _ in operation.headers if name in given)
    takes = 0.0 if operation.takes is None else operation.takes(given, content)
    return Request(operation.method, target, headers, written, operation.repeatable, timeout, takes)


def _content(write: Callable[[Any], Any], body: Any) -> Any:
    """The body as values of JSON."""
    if body is None:
        raise errors.validation_error("required", "body", True)
    return write(body)


def _written(content: Any) -> bytes:
    """JSON with Python's separators and escapes."""
    import json  # slow to import; a program that only names the classes does without

    return json.dumps(content).encode("ascii")


def interpret(operation: Operation[Result], response: Response) -> Result:
    """The result of a response. An empty one gives None whatever the operation: the hub never sends it, and
    programs written for the official package know it so.

    Raises HttpOperationError for a status that is no success, azure-core's DeserializationError for an answer
    that can't be read.
    """
    if response.status_code not in operation.success:
        raise errors.refused(response)
    result: Any = None
    if operation.returns is not None and response.content:
        result = _read(operation.returns, response)
    return result  # type: ignore[no-any-return]


def _read(returns: Callable[[Any], Result], response: Response) -> Result | None:
    """What the JSON of an answer is read as; a missing Content-Type counts as JSON."""
    content_type = response.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    # The official package falls back from XML to JSON.
    if content_type.partition("/")[0] not in ("application", "text") or not content_type.endswith(("json", "xml")):
        raise errors.deserialization_error(f"Cannot deserialize content-type: {content_type}")
    if isinstance(returns, (One, Many)) and response.is_utf8:
        result: Any = returns.quickly(response.content)
        if result is not None:
            return result  # type: ignore[no-any-return]
    try:
        data = response.json()
    except ValueError as error:
        raise errors.deserialization_error(f"JSON is invalid: {error}") from error
    return None if data is None else returns(data)


class One(Generic[AnyModel]):
    """Reads a JSON object as a model."""

    def __init__(self, model: type[AnyModel]) -> None:
        self.model = model

    def quickly(self, content: bytes) -> AnyModel | None:
        """Read by the core; None if it leaves that to a call."""
        model: AnyModel | None = self.model._reader().one(content)
        return model

    def __call__(self, data: Any) -> AnyModel:
        """Read from JSON that `json.loads` has read."""
        return self.model.deserialize(data)


class Many(Generic[AnyModel]):
    """Reads a JSON array of a model."""

    def __init__(self, model: type[AnyModel]) -> None:
        self.model = model

    def quickly(self, content: bytes) -> list[AnyModel] | None:
        """Read by the core; None if it leaves that to a call."""
        return self.model._reader().many(content)

    def __call__(self, data: Any) -> list[AnyModel]:
        """Read from JSON that `json.loads` has read."""
        if not isinstance(data, list):
            text = f"Cannot deserialize as [{self.model.__name__}] an object of type {type(data)}"
            raise errors.deserialization_error(text)
        return [self.model.deserialize(item) for item in data]


def anything(data: Any) -> Any:
    """Reads any JSON value."""
    return data


def quote(text: str) -> str:
    """Percent-encode all but letters, digits and `_.-~`, as urllib.parse does, which is slow to import."""
    if _UNRESERVED.issuperset(text):
        return text
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
