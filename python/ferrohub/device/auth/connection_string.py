"""Connection strings of devices and modules, to read parts from."""

from __future__ import annotations

from ferrohub import _connection_strings

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


class ConnectionString(_connection_strings.ConnectionString):
    """A connection string whose parts are read by key: `ConnectionString(text)["HostName"]`.

    `str()` gives the whole text, with its key; `repr()` leaves the key out. Raises TypeError and ValueError.
    """

    _parsed = staticmethod(_connection_strings.parse_of_device)
