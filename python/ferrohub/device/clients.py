"""The synchronous clients of devices and modules.

Every blocking call can be ended with Ctrl-C. Calls connect and subscribe when they need to. While a lost
connection is made again, calls wait for it, at most their time: 120 s for messages, 30 s for twins.
"""

from __future__ import annotations

import warnings

from ferrohub._frames import one_frame
from ferrohub._native import DeviceClient
from ferrohub.device import _json, exceptions
from ferrohub.device._errors import call
from ferrohub.device.constant import TELEMETRY_MESSAGE_SIZE_LIMIT
from ferrohub.device.message import Message, payload, properties
from ferrohub.device.options import ClientOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Client = TypeVar("Client", bound="GenericIoTHubClient")

SEND_TIMEOUT = 120.0
"""Seconds for a message to be acknowledged."""
TWIN_TIMEOUT = 30.0
"""Seconds for a twin operation to be answered."""


class DeprecatedWarning(DeprecationWarning):
    """A method that the official package has deprecated; it goes on working."""


def _warn_deprecated(method: str, replacement: str) -> None:
    # Attributed to this module, like the official warning to its package: hidden by Python's default filters.
    warnings.warn(
        f"{method} is deprecated as of 2.3.0. We recommend that you use the .{replacement} property to set a"
        " handler instead",
        DeprecatedWarning,
        stacklevel=1,
    )


class GenericIoTHubClient:
    """What clients of devices and modules have in common."""

    def __init__(self, core: DeviceClient) -> None:
        self._core = core

    @classmethod
    @one_frame
    def create_from_connection_string(cls: type[Client], connection_string: str, **kwargs: Any) -> Client:
        """Make a client from its connection string; nothing is sent yet.

        Keyword arguments: `server_verification_cert` (PEM text, replaces the system's roots), `product_info` (str,
        or a model id "dtmi:…"), `sastoken_ttl` (seconds, 3600), `keep_alive` (seconds, 60, at most 1740),
        `auto_connect` (True), `connection_retry` (True), `connection_retry_interval` (seconds, 10: the longest
        pause between two attempts), `ensure_desired_properties` (True).

        Raises ValueError, TypeError, and KeyError for the connection string of a service.
        """
        return cls(call(DeviceClient, ClientOptions.from_connection_string(connection_string, kwargs)))

    @property
    def connected(self) -> bool:
        """Whether the client is connected at this moment."""
        return self._core.connected

    @one_frame
    def connect(self) -> None:
        """Connect; at once if connected. One attempt, whose error is raised.

        Raises ConnectionFailedError, CredentialError, OperationTimeout, ClientError.
        """
        call(self._core.connect)

    @one_frame
    def disconnect(self) -> None:
        """Disconnect; what has no answer yet is cancelled. The client can connect again."""
        call(self._core.disconnect)

    @one_frame
    def shutdown(self) -> None:
        """Disconnect for good. Later calls raise a ClientError."""
        call(self._core.shutdown)

    @one_frame
    def send_message(self, message: Message | str | bytes | float | None) -> None:
        """Send telemetry; returns when the hub has it.

        Anything but a Message is sent as one. At most 256 KB, else ValueError. Raises OperationTimeout after 120 s,
        ConnectionFailedError, CredentialError, ClientError; each says whether the message was sent.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-d2c
        """
        if not isinstance(message, Message):
            message = Message(message)
        if message.get_size() > TELEMETRY_MESSAGE_SIZE_LIMIT:
            raise ValueError("Size of telemetry message can not exceed 256 KB.")
        try:
            wire = properties(message), payload(message.data)
        except (TypeError, ValueError) as error:
            raise exceptions.ClientError(f"Unexpected failure: {error}") from error
        call(self._core.send_telemetry, *wire, SEND_TIMEOUT)

    @one_frame
    def get_twin(self) -> dict[str, Any]:
        """The twin: `{"desired": {…, "$version": n}, "reported": {…, "$version": m}}`.

        Raises OperationTimeout after 30 s, ClientError if the hub refuses (its cause is the ServiceError).
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins
        """
        twin: dict[str, Any] = _json.parse(call(self._core.get_twin, TWIN_TIMEOUT))
        return twin

    @one_frame
    def patch_twin_reported_properties(self, reported_properties_patch: dict[str, Any]) -> None:
        """Merge a dict into the reported properties; a None value removes its key.

        Raises as `get_twin`.
        """
        patch = _json.write(reported_properties_patch)
        call(self._core.patch_reported_properties, patch, TWIN_TIMEOUT)

    @one_frame
    def receive_twin_desired_properties_patch(
        self,
        block: bool = True,
        timeout: float | None = None,
    ) -> dict[str, Any] | None:
        """The next patch of desired properties, with its `$version`: each once, in the order of versions.

        `block=False` returns None if none is there; `timeout` (seconds) returns None after it; None waits without end.
        The first call connects and subscribes. What changes while the connection is lost comes after the reconnect,
        as the whole desired section. Raises ConnectionFailedError, CredentialError, ClientError.
        """
        _warn_deprecated(
            "receive_twin_desired_properties_patch",
            "on_twin_desired_properties_patch_received",
        )
        call(self._core.enable_desired_patches, None)
        patch = call(self._core.next_desired_patch, timeout if block else 0.0)
        if patch is None:
            return None
        received: dict[str, Any] = _json.parse(patch)
        return received


class IoTHubDeviceClient(GenericIoTHubClient):
    """The client of a device."""


class IoTHubModuleClient(GenericIoTHubClient):
    """The client of a module on a device."""
