"""Messages: what a program puts in them and how they stand on the wire."""

from __future__ import annotations

import sys

from ferrohub.device.constant import SECURITY_MESSAGE_INTERFACE_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# system property on the wire -> attribute, in wire order
SYSTEM_PROPERTIES = {
    "$.on": "output_name",
    "$.mid": "message_id",
    "$.cid": "correlation_id",
    "$.uid": "user_id",
    "$.ct": "content_type",
    "$.ce": "content_encoding",
    "$.ifid": "_iothub_interface_id",
    "$.exp": "expiry_time_utc",
}


class Message:
    """A message to or from the hub. Attributes are plain and may be set at any time.

    - `data`: str, bytes, bytearray, int, float or None when sent; bytes when received
    - `custom_properties`: dict of the program's own properties
    - `message_id`, `correlation_id`, `user_id`, `content_type`, `content_encoding`, `output_name`, `input_name`,
      `ack`: str or None
    - `expiry_time_utc`: datetime, date or ISO 8601 text, or None

    https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct
    """

    def __init__(
        self,
        data: Any,
        message_id: str | None = None,
        content_encoding: str | None = None,
        content_type: str | None = None,
        output_name: str | None = None,
    ) -> None:
        self.data = data
        self.custom_properties: dict[Any, Any] = {}
        self.message_id = message_id
        self.expiry_time_utc: Any = None
        self.correlation_id: str | None = None
        self.user_id: str | None = None
        self.content_encoding = content_encoding
        self.content_type = content_type
        self.output_name = output_name
        self.input_name: str | None = None
        self.ack: str | None = None
        self._iothub_interface_id: str | None = None

    @property
    def iothub_interface_id(self) -> str | None:
        """Set by `set_as_security_message`."""
        return self._iothub_interface_id

    def set_as_security_message(self) -> None:
        """Mark this as a message of a security agent."""
        self._iothub_interface_id = SECURITY_MESSAGE_INTERFACE_ID

    def get_size(self) -> int:
        """The size that is held against `TELEMETRY_MESSAGE_SIZE_LIMIT`: that of the Python objects."""
        values = [value for name, value in vars(self).items() if name != "custom_properties"]
        values += self.custom_properties.values()
        return sum(sys.getsizeof(value) for value in values if value is not None)

    def __str__(self) -> str:
        return str(self.data)


def payload(data: Any) -> bytes:
    """The bytes that are published. Raises TypeError for what has no plain form; JSON is the program's to write."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, (int, float)):
        return str(data).encode()
    if data is None:
        return b""
    raise TypeError("payload must be a string, bytearray, int, float or None.")


def properties(message: Message) -> list[tuple[str, str]]:
    """The properties as they stand in the topic: the system's in their order, then the program's, sorted.

    Raises ValueError if two custom properties have the same name as text.
    """
    pairs = []
    for key, attribute in SYSTEM_PROPERTIES.items():
        value = getattr(message, attribute)
        if value:
            pairs.append((key, _text(value)))
    custom = sorted((str(key), str(value)) for key, value in message.custom_properties.items())
    if len({key for key, _ in custom}) != len(custom):
        raise ValueError("Duplicate keys in custom properties!")
    return pairs + custom


def _text(value: Any) -> str:
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)
