"""JSON as Python reads and writes it, loaded when first needed: `import json` costs as much as all of a client."""

from __future__ import annotations

from ferrohub.device.exceptions import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(text: bytes) -> Any:
    """The value of what the hub has said. Raises ProtocolError if it is no JSON."""
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        failure = ProtocolError(f"Error in the IoTHub client: what was answered is no JSON ({error}); is it a hub?")
        raise failure from error


def write(value: Any) -> bytes:
    """The text: ASCII, with a space after colons and commas. Raises TypeError and ValueError."""
    import json

    return json.dumps(value).encode()
