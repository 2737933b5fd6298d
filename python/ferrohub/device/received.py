"""What came from the hub, from the plain values of the core to the models programs see."""

from __future__ import annotations

from ferrohub.device import _json
from ferrohub.device.message import Message
from ferrohub.device.methods import MethodRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

# system property on the wire -> attribute; every other property is the program's
_ATTRIBUTES = {
    "$.mid": "message_id",
    "$.cid": "correlation_id",
    "$.uid": "user_id",
    "$.ct": "content_type",
    "$.ce": "content_encoding",
    "$.exp": "expiry_time_utc",
    "iothub-ack": "ack",
}


def patch(body: bytes) -> dict[str, Any]:
    """A patch of desired properties, with its `$version`."""
    parsed: dict[str, Any] = _json.parse(body)
    return parsed


def message(answer: tuple[str | None, list[tuple[str, str | None]], bytes]) -> Message:
    """A message; `data` is bytes."""
    input_name, properties, body = answer
    received = Message(body)
    received.input_name = input_name
    for key, value in properties:
        if key in _ATTRIBUTES:
            setattr(received, _ATTRIBUTES[key], value)
        elif key != "$.to":
            received.custom_properties[key] = value
    return received


def method(answer: tuple[str, str, bytes]) -> MethodRequest:
    """A call of a direct method; an empty body is None."""
    name, request_id, body = answer
    return MethodRequest(request_id, name, _json.parse(body) if body else None)


MODELS: dict[str, Callable[[Any], Any]] = {"desired_patch": patch, "message": message, "method": method}
"""How an answer of each kind becomes what a program receives."""
