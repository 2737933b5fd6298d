"""How the argument that an operation sends is written: as JSON values, for `json.dumps`.

Where a model is expected, programs also give a dict with JSON names or Python's. Raises msrest's ValidationError and
azure-core's SerializationError, as the models do.
"""

from __future__ import annotations

from ferrohub.service import errors
from ferrohub.service.codecs import encode_any
from ferrohub.service.model import Model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Write = Callable[[Any], Any]


def one(model: type[Model]) -> Write:
    """A model, or a dict in its place."""

    def write(body: Any) -> dict[str, Any]:
        if not isinstance(body, Model):
            try:
                body = model.from_dict(body)
            except ValueError as error:
                raise errors.serialization_error(f"Unable to build a model: {error}") from error
        body.validate()
        encoded: dict[str, Any] = body.serialize()
        return encoded

    return write


def many(write: Write) -> Write:
    """A list of what `write` writes."""

    def write_all(body: Any) -> list[Any]:
        if isinstance(body, str):
            raise errors.serialization_error("Refuse str type as a valid iter type.")
        try:
            return [write(item) for item in body]
        except TypeError as error:
            raise errors.serialization_error(f"a list is needed, not {type(body).__name__}: {error}") from error

    return write_all


def anything(body: Any) -> Any:
    """Any JSON value."""
    return encode_any(body)
