"""JSON as Python reads and writes it, loaded when first needed: `import json` costs as much as all of a client."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(text: bytes) -> Any:
    """The value. Raises ValueError."""
    import json

    return json.loads(text)


def write(value: Any) -> bytes:
    """The text: ASCII, with a space after colons and commas. Raises TypeError and ValueError."""
    import json

    return json.dumps(value).encode()
