"""What a client is made from: identity, credentials and keyword arguments, checked as the official package does."""

from __future__ import annotations

from ferrohub import _connection_strings as connection_strings
from ferrohub.device import connection_options
from ferrohub.device.connection_options import MAX_INTERVAL_SECONDS, ConnectionOptions, required_text
from ferrohub.device.constant import DIGITAL_TWIN_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub._native import EdgeWorkload
    from ferrohub.device.given_token import GivenToken
    from ferrohub.device.x509 import X509
    from ferrohub.outbox import Outbox

MAX_IN_FLIGHT_WINDOW = 32767
"""Half of the packet ids that there are: the next is found soon."""
_DEFAULTS: dict[str, Any] = {
    **connection_options.DEFAULTS,
    "product_info": "",
    "auto_connect": True,
    "connection_retry": True,
    "connection_retry_interval": 10,
    "ensure_desired_properties": True,
    "operation_timeout": None,
    "in_flight_window": 64,
    "outbox": None,
}


class ClientOptions(ConnectionOptions):
    """The options of one client, read field by field by the core.

    Raises TypeError and ValueError for what can't be used, KeyError for a service's connection string.
    """

    host_name: str
    device_id: str
    module_id: str | None = None
    # A token or IoT Edge's workload API in place of key and certificate; the token with its expiry.
    given_token: GivenToken | None = None
    sastoken: tuple[str, int] | None = None
    workload: EdgeWorkload | None = None
    model_id: str | None
    auto_connect: bool
    connection_retry: bool
    connection_retry_interval: float
    ensure_desired_properties: bool
    operation_timeout: float | None  # for the facades; the core is given a time with each call
    in_flight_window: int
    outbox: Outbox | None

    def __init__(self, arguments: dict[str, Any], *excluded: str) -> None:
        super().__init__(arguments, _DEFAULTS, excluded, "Unsupported keyword argument: '{}'")

    @classmethod
    def from_connection_string(cls, connection_string: str, arguments: dict[str, Any]) -> ClientOptions:
        """Identity and key are in the text, and maybe a gateway."""
        options = cls(arguments, "gateway_hostname")
        values = connection_strings.parse_of_device(connection_string)
        if "DeviceId" not in values:
            raise connection_strings.WrongConnectionStringError(
                "'DeviceId': this is the connection string of a hub's shared access policy, for"
                " IoTHubRegistryManager. A client needs that of its device or module:"
                f" {connection_strings.DEVICE_FORM}. `ferrohub connection-string DEVICE [MODULE]` prints it"
                " for a local hub, the Azure portal shows it with the device"
            )
        if "x509" in values:
            raise ValueError("Use the .create_from_x509_certificate() method instead when using X509 certificates")
        options._identify(values["HostName"], values["DeviceId"], values.get("ModuleId"))
        options._use_key(values["SharedAccessKey"])
        options._use_rest(gateway_hostname=values.get("GatewayHostName"))
        return options

    @classmethod
    def from_symmetric_key(
        cls, symmetric_key: str | bytes, hostname: str, device_id: str, arguments: dict[str, Any]
    ) -> ClientOptions:
        """The parts of a connection string, one by one."""
        options = cls(arguments)
        options._identify(hostname, device_id, None)
        options._use_key(symmetric_key)
        options._use_rest()
        return options

    @classmethod
    def from_sastoken(cls, sastoken: str, of_module: bool, arguments: dict[str, Any]) -> ClientOptions:
        """The identity is what the token is for."""
        # Imported by those who bring tokens: it reads URLs.
        from ferrohub.device.given_token import GivenToken

        options = cls(arguments, "sastoken_ttl")
        token = GivenToken(sastoken, of_module=of_module)
        token.check_expiry()
        options._identify(token.host_name, token.device_id, token.module_id)
        options.given_token = token
        options.sastoken = token.text, token.expiry_time
        options._use_rest()
        return options

    @classmethod
    def from_x509_certificate(
        cls, x509: X509, hostname: str, device_id: str, module_id: str | None, arguments: dict[str, Any]
    ) -> ClientOptions:
        """Reads the certificate's files. Raises OSError too, such as FileNotFoundError."""
        options = cls(arguments, "sastoken_ttl")
        options._identify(hostname, device_id, module_id)
        options._use_certificate(x509)
        options._use_rest()
        return options

    @classmethod
    def from_edge_environment(cls, arguments: dict[str, Any]) -> ClientOptions:
        """The environment names everything. Asks the workload API; raises OSError too."""
        from ferrohub.device import edge  # here: few programs run on IoT Edge

        options = cls(arguments, "server_verification_cert", "gateway_hostname")
        environment = edge.read_environment()
        options._identify(environment.host_name, environment.device_id, environment.module_id)
        if environment.key is not None:
            options._use_key(environment.key)
        if environment.hsm is not None:
            options._use_time_to_live()
            edge.check_signing(
                environment.hsm,
                f"{options.host_name}/devices/{options.device_id}/modules/{options.module_id}",
            )
            options.workload = environment.hsm.workload
        options._use_rest(gateway_hostname=environment.gateway_host_name, server_verification_cert=environment.trusted)
        return options

    def _identify(self, host_name: str, device_id: str, module_id: str | None) -> None:
        self.host_name = required_text("hostname", host_name)
        self.device_id = required_text("device_id", device_id)
        self.module_id = None if module_id is None else required_text("module_id", module_id)

    def _use_rest(self, **said: str | None) -> None:
        """The keyword arguments, and what else has been said of them."""
        self._values.update(said)
        values = self._values
        self._use_values()
        self.connection_retry_interval = _retry_interval(values["connection_retry_interval"])
        self._use_certificates()
        for name in ("auto_connect", "connection_retry", "ensure_desired_properties"):
            setattr(self, name, bool(values[name]))
        product_info = str(values["product_info"])
        is_model = product_info.startswith(DIGITAL_TWIN_PREFIX)
        self.model_id = product_info if is_model else None
        if not is_model:
            self.user_agent += product_info
        self.operation_timeout = _operation_timeout(values["operation_timeout"])
        self.in_flight_window = _in_flight_window(values["in_flight_window"])
        self.outbox = _outbox(values["outbox"])


def _in_flight_window(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("Invalid type for 'in_flight_window'. Must be an int.")
    if not 1 <= value <= MAX_IN_FLIGHT_WINDOW:
        raise ValueError(f"'in_flight_window' must be from 1 to {MAX_IN_FLIGHT_WINDOW}")
    return value


def _outbox(value: Any) -> Outbox | None:
    if value is None:
        return None
    from ferrohub.outbox import Outbox  # here: few programs have one

    if not isinstance(value, Outbox):
        raise TypeError(f"outbox must be a ferrohub.Outbox, not {type(value).__name__}")
    return value


def _operation_timeout(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("Invalid type for 'operation_timeout'. Must be a numeric value, or None.")
    if not value > 0:
        raise ValueError("'operation_timeout' must be greater than 0; None means the usual times")
    if value > MAX_INTERVAL_SECONDS:
        raise ValueError(f"'operation_timeout' cannot exceed {MAX_INTERVAL_SECONDS} seconds")
    return float(value)


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
