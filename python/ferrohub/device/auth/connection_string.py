"""Connection strings of devices and modules, to read parts from."""

from __future__ import annotations

from ferrohub._connection_strings import parse_of_device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CS_DELIMITER = ";"
CS_VAL_SEPARATOR = "="
HOST_NAME = "HostName"
SHARED_ACCESS_KEY_NAME = "SharedAccessKeyName"
SHARED_ACCESS_KEY = "SharedAccessKey"
SHARED_ACCESS_SIGNATURE = "SharedAccessSignature"
DEVICE_ID = "DeviceId"
MODULE_ID = "ModuleId"
GATEWAY_HOST_NAME = "GatewayHostName"
X509 = "x509"

_SECRETS = (SHARED_ACCESS_KEY, SHARED_ACCESS_SIGNATURE)


class ConnectionString:
    """A connection string whose parts are read by key: `ConnectionString(text)["HostName"]`.

    `str()` gives the whole text, with its key; `repr()` leaves the key out. Raises TypeError and ValueError.
    """

    def __init__(self, connection_string: str) -> None:
        self._parts = parse_of_device(connection_string)
        self._text = connection_string

    def __getitem__(self, key: str) -> str:
        return self._parts[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The part with this key, or the default."""
        return self._parts.get(key, default)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        shown = (f"{key}={'…' if key in _SECRETS else value}" for key, value in sorted(self._parts.items()))
        return f"ConnectionString({';'.join(shown)})"
