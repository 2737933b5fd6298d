"""How clients are made, synchronous and asyncio alike; what a client of either sort is an instance of.

Nothing is sent by making a client, except on IoT Edge or with an outbox. All factories take these keyword arguments,
except where they say otherwise:

- `server_verification_cert`: str, certificates in PEM to trust instead of the system's
- `gateway_hostname`: str, connect here instead, with the hub's name in user name and token
- `cipher`: str or list of str, OpenSSL's names of the TLS 1.2 cipher suites to offer
- `websockets` (False): speak MQTT within a WebSocket, on port 443; `proxy_options`: the `ProxyOptions` to connect
  through
- `product_info`: str, appended to the user agent; or a model id "dtmi:…"
- `sastoken_ttl`: seconds a token is valid for, 3600
- `keep_alive`: seconds of silence after which the hub is asked whether it is there, 60, at most 1740
- `auto_connect` (True): connect when a call needs it
- `connection_retry` (True), `connection_retry_interval` (10): connect again when the connection is lost, and the
  longest pause between two attempts in seconds
- `operation_timeout`: seconds for calls that aren't given a `timeout`, and for setting a handler; None (the default):
  60 for a connection, 120 for a message to be acknowledged, 30 for everything else. Receiving waits without end
- `ensure_desired_properties` (True): after a reconnect bring what of the desired properties has changed meanwhile
- `in_flight_window` (64): messages that may be under way without the hub's acknowledgement, 1 to 32767; the longer the
  way to the hub, the more of them make it faster
- `outbox`: the `ferrohub.Outbox` that keeps telemetry on disk until the hub has it; the client begins to send what
  it holds at once. Raises OutboxError if its file can't be used

They raise TypeError and ValueError for what can't be used, and ssl.SSLError for a certificate, key or cipher.
https://learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas
"""

from __future__ import annotations

from ferrohub._frames import one_frame
from ferrohub._native import DeviceClient
from ferrohub.device import exceptions
from ferrohub.device._errors import translated
from ferrohub.device.connection_options import required_text
from ferrohub.device.options import ClientOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    from ferrohub._native import Operation
    from ferrohub.device.given_token import GivenToken
    from ferrohub.device.x509 import X509

    Client = TypeVar("Client", bound="AbstractIoTHubClient")
    DeviceSort = TypeVar("DeviceSort", bound="AbstractIoTHubDeviceClient")
    ModuleSort = TypeVar("ModuleSort", bound="AbstractIoTHubModuleClient")


class AbstractIoTHubClient:
    """A client of a hub."""

    _of_module = False
    # Whether threads wait for its calls, or an event loop.
    _blocks = True
    _operation_timeout: float | None = None
    # Whether it was made from the environment of IoT Edge, as modules can be.
    _on_edge = False
    _token: GivenToken | None = None

    _follow_news: Callable[[], object]
    """Has news of the connection and the outbox told or logged; given by each way to wait."""

    def __init__(self, core: DeviceClient) -> None:
        self._core = core

    @classmethod
    def _create(cls: type[Client], options: ClientOptions) -> Client:
        with translated():
            client = cls(DeviceClient(options, cls._blocks))
        client._operation_timeout = options.operation_timeout
        if options.outbox is not None:
            # What it gives up must be told.
            client._follow_news()
        return client

    @classmethod
    @one_frame
    def create_from_connection_string(cls: type[Client], connection_string: str, **kwargs: Any) -> Client:
        """Make a client from its connection string.

        Keyword arguments as this module says, without `gateway_hostname`: that stands in the text. Raises KeyError
        for the connection string of a service.
        """
        return cls._create(ClientOptions.from_connection_string(connection_string, kwargs))

    @classmethod
    @one_frame
    def create_from_sastoken(cls: type[Client], sastoken: str, **kwargs: Any) -> Client:
        """Make a client from a token that the program has got; it says whose client this is.

        Two minutes before the token expires `on_new_sastoken_required` is called, and the program brings another with
        `update_sastoken`. Keyword arguments as this module says, without `sastoken_ttl`.
        """
        options = ClientOptions.from_sastoken(sastoken, cls._of_module, kwargs)
        client = cls._create(options)
        client._token = options.given_token
        return client

    def _token_operation(self, sastoken: str, timeout: float | None) -> Operation:
        """Replaces the token."""
        if self._token is None:
            raise exceptions.ClientError("Cannot update sastoken when client was not created with one")
        token = self._token = self._token.successor(sastoken)
        return self._core.update_token(token.text, token.expiry_time, timeout)


class AbstractIoTHubDeviceClient(AbstractIoTHubClient):
    """A client of a device."""

    @classmethod
    @one_frame
    def create_from_symmetric_key(
        cls: type[DeviceSort], symmetric_key: str | bytes, hostname: str, device_id: str, **kwargs: Any
    ) -> DeviceSort:
        """Make a client from the parts of its connection string; the key is base64.

        Keyword arguments as this module says.
        """
        return cls._create(ClientOptions.from_symmetric_key(symmetric_key, hostname, device_id, kwargs))

    @classmethod
    @one_frame
    def create_from_x509_certificate(
        cls: type[DeviceSort], x509: X509, hostname: str, device_id: str, **kwargs: Any
    ) -> DeviceSort:
        """Make a client that shows a certificate instead of a token.

        The files are read now: raises FileNotFoundError and other OSErrors. Keyword arguments as this module says,
        without `sastoken_ttl`.
        """
        return cls._create(ClientOptions.from_x509_certificate(x509, hostname, device_id, None, kwargs))


class AbstractIoTHubModuleClient(AbstractIoTHubClient):
    """A client of a module on a device."""

    _of_module = True

    @classmethod
    @one_frame
    def create_from_x509_certificate(
        cls: type[ModuleSort], x509: X509, hostname: str, device_id: str, module_id: str, **kwargs: Any
    ) -> ModuleSort:
        """Make a client that shows a certificate instead of a token; as for a device."""
        module_id = required_text("module_id", module_id)
        return cls._create(ClientOptions.from_x509_certificate(x509, hostname, device_id, module_id, kwargs))

    @classmethod
    @one_frame
    def create_from_edge_environment(cls: type[ModuleSort], **kwargs: Any) -> ModuleSort:
        """Make a client of the module that this program is, on a device with IoT Edge or in its debugger.

        The environment says who the module is and where the workload API is, which is asked whom to trust and signs
        tokens, now and at every connect; each answer takes 30 s at most. Without it the environment has
        `EdgeHubConnectionString` and `EdgeModuleCACertificateFile`. Keyword arguments as this module says, without
        `server_verification_cert` and `gateway_hostname`.

        Raises OSError if the environment lacks something or the workload API can't be used, ValueError if that signs
        nothing, FileNotFoundError without the CA's file.
        https://learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub
        """
        client = cls._create(ClientOptions.from_edge_environment(kwargs))
        client._on_edge = True
        return client
