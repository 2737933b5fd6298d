"""What a client is made from: keyword arguments and connection string, checked as the official package checks them."""

from __future__ import annotations

import sys

from ferrohub import _connection_strings as connection_strings
from ferrohub._native import __version__
from ferrohub.device.constant import DIGITAL_TWIN_PREFIX, MAX_KEEP_ALIVE_SECS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# threading.TIMEOUT_MAX, without importing threading: what a lock can wait at most.
MAX_INTERVAL_SECONDS = 9223372036.0

_NO_EQUALS_SIGN = "Invalid Connection String - Unable to parse"

_DEFAULTS: dict[str, Any] = {
    "server_verification_cert": None,
    "product_info": "",
    "sastoken_ttl": 3600,
    "keep_alive": 60,
    "auto_connect": True,
    "connection_retry": True,
    "connection_retry_interval": 10,
    "ensure_desired_properties": True,
}


class ClientOptions:
    """The options of one client, read field by field by the core."""

    host_name: str
    gateway_host_name: str | None
    device_id: str
    module_id: str | None
    shared_access_key: str
    sastoken_ttl: int
    user_agent: str
    model_id: str | None
    server_verification_cert: str | None
    keep_alive: int
    auto_connect: bool
    connection_retry: bool
    connection_retry_interval: float
    ensure_desired_properties: bool

    @classmethod
    def from_connection_string(cls, connection_string: str, arguments: dict[str, Any]) -> ClientOptions:
        """Raises TypeError and ValueError for what can't be used, KeyError for a service's connection string."""
        options = cls()
        options._take_arguments(arguments)
        options._take_connection_string(connection_string)
        return options

    def _take_arguments(self, arguments: dict[str, Any]) -> None:
        for name in arguments:
            if name not in _DEFAULTS:
                raise TypeError(f"Unsupported keyword argument: '{name}'")
        values = {**_DEFAULTS, **arguments}
        self.server_verification_cert = values["server_verification_cert"]
        self.sastoken_ttl = max(0, int(values["sastoken_ttl"]))
        self.keep_alive = _keep_alive(values["keep_alive"])
        self.connection_retry_interval = _retry_interval(values["connection_retry_interval"])
        for name in ("auto_connect", "connection_retry", "ensure_desired_properties"):
            setattr(self, name, bool(values[name]))
        product_info = str(values["product_info"])
        python = ".".join(map(str, sys.version_info[:3]))
        is_model = product_info.startswith(DIGITAL_TWIN_PREFIX)
        self.model_id = product_info if is_model else None
        self.user_agent = f"ferrohub/{__version__} (python {python}; {sys.platform})" + (
            "" if is_model else product_info
        )

    def _take_connection_string(self, connection_string: str) -> None:
        if not isinstance(connection_string, str):
            raise TypeError("Connection String must be of type str")
        values = connection_strings.parse(connection_string, connection_strings.DEVICE_FORM, _NO_EQUALS_SIGN)
        if "DeviceId" not in values:
            raise connection_strings.WrongConnectionStringError(
                "'DeviceId': this is the connection string of a hub's shared access policy, for"
                " IoTHubRegistryManager. A client needs that of its device or module:"
                f" {connection_strings.DEVICE_FORM}. `ferrohub connection-string DEVICE [MODULE]` prints it"
                " for a local hub, the Azure portal shows it with the device"
            )
        if "x509" in values:
            raise ValueError("Use the .create_from_x509_certificate() method instead when using X509 certificates")
        self.host_name = values["HostName"]
        self.gateway_host_name = values.get("GatewayHostName")
        self.device_id = values["DeviceId"]
        self.module_id = values.get("ModuleId")
        self.shared_access_key = values["SharedAccessKey"]


def _keep_alive(value: Any) -> int:
    try:
        seconds = int(value)
    except (ValueError, TypeError):
        raise TypeError("Invalid type for 'keep alive'. Must be a numeric value.") from None
    if seconds <= 0:
        raise ValueError("'keep alive' must be greater than 0")
    if seconds > MAX_KEEP_ALIVE_SECS:
        raise ValueError("'keep_alive' cannot exceed 1740 seconds (29 minutes)")
    return seconds


def _retry_interval(value: Any) -> float:
    try:
        seconds = int(value)
    except (ValueError, TypeError):
        raise TypeError("Invalid type for 'connection_retry_interval'. Must be a numeric value") from None
    if seconds <= 0:
        raise ValueError("'connection_retry_interval' must be greater than 0")
    if seconds > MAX_INTERVAL_SECONDS:
        raise ValueError(f"'connection_retry_interval' cannot exceed {MAX_INTERVAL_SECONDS} seconds")
    return seconds
