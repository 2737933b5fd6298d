"""The synchronous clients of devices and modules.

Every blocking call can be ended with Ctrl-C. Calls connect and subscribe when they need to. While a lost
connection is made again, calls wait for it, at most their time: 120 s for messages, 30 s for twins.
"""

from __future__ import annotations

import contextlib

from ferrohub._frames import one_frame
from ferrohub.device import _json, base, received
from ferrohub.device._errors import outcomes, wait
from ferrohub.device.abstract_clients import AbstractIoTHubDeviceClient, AbstractIoTHubModuleClient
from ferrohub.device.exceptions import OperationTimeout, ShutDownError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeVar

    from ferrohub.device.custom_typing import StorageInfo
    from ferrohub.device.message import Message
    from ferrohub.device.methods import MethodRequest, MethodResponse

    Client = TypeVar("Client", bound="GenericIoTHubClient")


class GenericIoTHubClient(base.GenericIoTHubClient):
    """What the synchronous clients of devices and modules have in common."""

    _logger_name = "azure.iot.device.iothub.sync_clients"

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ShutDownError):  # it may have been shut down within
            wait(self._core.shutdown(self._seconds(base.TWIN_TIMEOUT)))

    @one_frame
    def connect(self, timeout: float | None = base.CONNECT_TIMEOUT) -> None:
        """Connect; at once if connected. One attempt, whose error is raised.

        Raises OperationTimeout after `timeout` (seconds, 60; None: that of an attempt, also 60), ConnectionFailedError,
        CredentialError, ClientError.
        """
        self._log("Connecting to Hub...")
        wait(self._core.connect(self._seconds(timeout)))
        self._log("Successfully connected to Hub")

    @one_frame
    def disconnect(self, timeout: float | None = base.TWIN_TIMEOUT) -> None:
        """Disconnect; what has no answer yet is cancelled. The client can connect again.

        A hub that does not listen is waited for a second. Raises OperationTimeout after `timeout` (seconds, 30); the
        connection is closed all the same.
        """
        wait(self._core.disconnect(self._seconds(timeout)))

    @one_frame
    def shutdown(self, timeout: float | None = base.TWIN_TIMEOUT) -> None:
        """Disconnect for good. Later calls raise a ClientError.

        Waits and raises as `disconnect`.
        """
        wait(self._core.shutdown(self._seconds(timeout)))

    @one_frame
    def update_sastoken(self, sastoken: str, timeout: float | None = base.CONNECT_TIMEOUT) -> None:
        """Show the hub another token from now on; returns when there is a connection with it.

        Raises ClientError if the client was not made with a token, ValueError for a token of someone else or one that
        has expired, and what `connect` raises; after OperationTimeout the token is used all the same.
        """
        wait(self._token_operation(sastoken, self._seconds(timeout)))

    @one_frame
    def send_message(
        self, message: Message | str | bytes | float | None, timeout: float | None = base.SEND_TIMEOUT
    ) -> None:
        """Send telemetry; returns when the hub has it.

        Anything but a Message is sent as one. At most 256 KB, else ValueError. Raises OperationTimeout after `timeout`
        (seconds, 120; None: never), ConnectionFailedError, CredentialError, ClientError; each says whether the message
        was sent.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-d2c
        """
        wait(self._message_operation(message, timeout))

    @one_frame
    def send_messages(
        self,
        messages: Iterable[Message | str | bytes | float | None],
        timeout: float | None = base.SEND_TIMEOUT,
    ) -> list[Exception | None]:
        """Send many messages without waiting for each; returns one outcome per message, in their order.

        An outcome is None if the hub has the message, else the exception that `send_message` would have raised: look
        at each. Messages go out in their order.
        """
        return outcomes(wait(self._messages_operation(messages, timeout)))

    @one_frame
    def flush(self, timeout: float | None = base.SEND_TIMEOUT) -> None:
        """Wait until the hub has all messages that the outbox has accepted until now.

        Connects if need be. Raises OperationTimeout after `timeout` (seconds, 120; None: never); the messages stay in
        the outbox. ValueError for a client without an outbox: its calls return when the hub has the message.
        """
        wait(self._core.flush(self._seconds(timeout)))

    @one_frame
    def get_twin(self, timeout: float | None = base.TWIN_TIMEOUT) -> dict[str, Any]:
        """The twin: `{"desired": {…, "$version": n}, "reported": {…, "$version": m}}`.

        Raises OperationTimeout after `timeout` (seconds, 30; None: never), ClientError if the hub refuses (its cause
        is the ServiceError).
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins
        """
        twin: dict[str, Any] = _json.parse(wait(self._core.get_twin(self._seconds(timeout))))
        return twin

    @one_frame
    def patch_twin_reported_properties(
        self, reported_properties_patch: dict[str, Any], timeout: float | None = base.TWIN_TIMEOUT
    ) -> None:
        """Merge a dict into the reported properties; a None value removes its key.

        Raises as `get_twin`.
        """
        wait(self._patch_operation(reported_properties_patch, timeout))

    @one_frame
    def send_method_response(self, method_response: MethodResponse, timeout: float | None = base.SEND_TIMEOUT) -> None:
        """Answer a call of a direct method; returns when the hub has the answer.

        Raises as `send_message`.
        """
        wait(self._response_operation(method_response, timeout))

    @one_frame
    def receive_twin_desired_properties_patch(
        self, block: bool = True, timeout: float | None = None
    ) -> dict[str, Any] | None:
        """The next patch of desired properties, with its `$version`: each once, in the order of versions.

        `block=False` returns None if none is there; `timeout` (seconds) returns None after it; None waits without end.
        The first call connects and subscribes, for which it has 30 s at most. What changes while the connection is lost
        comes after the reconnect, as the whole desired section. Raises ConnectionFailedError, CredentialError,
        OperationTimeout, ClientError.
        """
        base.warn_deprecated("receive_twin_desired_properties_patch", "on_twin_desired_properties_patch_received")
        patch: dict[str, Any] | None = self._receive("desired_patch", None, block, timeout)
        return patch

    @one_frame
    def receive_method_request(
        self, method_name: str | None = None, block: bool = True, timeout: float | None = None
    ) -> MethodRequest | None:
        """The next call of this method, or of any that no other call receives by name.

        Waits and raises as `receive_twin_desired_properties_patch`.
        """
        base.warn_deprecated("receive_method_request", "on_method_request_received")
        request: MethodRequest | None = self._receive("method", method_name, block, timeout)
        return request

    def desired_properties_patches(self) -> Iterator[dict[str, Any]]:
        """Patches of desired properties as they come, until the client is shut down."""
        return self._items("desired_patch")

    def method_requests(self) -> Iterator[MethodRequest]:
        """Calls of direct methods as they come, until the client is shut down."""
        return self._items("method")

    def messages(self) -> Iterator[Message]:
        """Messages as they come, until the client is shut down: cloud-to-device, or on any input of a module."""
        return self._items("message")

    def _items(self, kind: str) -> Iterator[Any]:
        with contextlib.suppress(ShutDownError):
            while True:
                yield self._receive(kind, None, block=True, timeout=None)

    def _receive(self, kind: str, name: str | None, block: bool, timeout: float | None) -> Any:
        self._receive_by_calls()
        limit = timeout if block else 0.0
        # Looking opens an inbox for the name, before the subscription brings anything.
        answer = self._core.take(kind, name)
        if answer is None:
            try:
                wait(self._core.enable(kind, self._seconds_to_subscribe(limit)))
            except OperationTimeout:
                if limit is None:
                    raise
                return None
            answer = wait(self._core.receive(kind, name, limit))
        return None if answer is None else received.MODELS[kind](answer)


class IoTHubDeviceClient(GenericIoTHubClient, AbstractIoTHubDeviceClient):
    """The client of a device."""

    @one_frame
    def get_storage_info_for_blob(self, blob_name: str, timeout: float | None = base.TWIN_TIMEOUT) -> StorageInfo:
        """Ask where to upload a file to, and with which token; needs no connection.

        `{"correlationId", "hostName", "containerName", "blobName", "sasToken"}`: the blob is at
        `https://{hostName}/{containerName}/{blobName}{sasToken}` for an hour. At most ten uploads of a device are under
        way, until `notify_blob_upload_status`. Raises OperationTimeout after `timeout` (seconds, 30; None: never),
        ConnectionFailedError, ClientError if the hub refuses (its cause is the ServiceError).
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-file-upload
        """
        info: StorageInfo = _json.parse(wait(self._storage_info_operation(blob_name, timeout)))
        return info

    @one_frame
    def notify_blob_upload_status(
        self,
        correlation_id: str,
        is_success: bool,
        status_code: int,
        status_description: str,
        timeout: float | None = base.TWIN_TIMEOUT,
    ) -> None:
        """Tell the hub how the upload with this correlation id has ended; back ends can ask it for that.

        `status_code` and `status_description` are for them, whatever they are. Raises as `get_storage_info_for_blob`.
        """
        wait(self._upload_status_operation(correlation_id, is_success, status_code, status_description, timeout))

    @one_frame
    def receive_message(self, block: bool = True, timeout: float | None = None) -> Message | None:
        """The next cloud-to-device message; its `data` is bytes.

        Waits and raises as `receive_twin_desired_properties_patch`.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d
        """
        base.warn_deprecated("receive_message", "on_message_received")
        message: Message | None = self._receive("message", None, block, timeout)
        return message


class IoTHubModuleClient(GenericIoTHubClient, AbstractIoTHubModuleClient):
    """The client of a module on a device."""

    @one_frame
    def send_message_to_output(
        self,
        message: Message | str | bytes | float | None,
        output_name: str,
        timeout: float | None = base.SEND_TIMEOUT,
    ) -> None:
        """Send a message to an output of the module, which IoT Edge routes; `output_name` is set in the message.

        Raises as `send_message`.
        """
        wait(self._output_operation(message, output_name, timeout))

    @one_frame
    def invoke_method(
        self,
        method_params: dict[str, Any],
        device_id: str,
        module_id: str | None = None,
        timeout: float | None = base.METHOD_TIMEOUT,
    ) -> dict[str, Any]:
        """Call a direct method of a device, or of a module on it, through the gateway of IoT Edge: what it answered.

        Only for clients of `create_from_edge_environment`; needs no connection. `method_params` is `{"methodName": …,
        "payload": …, "connectTimeoutInSeconds": 0, "responseTimeoutInSeconds": 30}`, of which only the name is needed;
        the answer is `{"status": …, "payload": …}`. Raises KeyError without a name, OperationTimeout after `timeout`
        (seconds; connect and response timeout and 10; None: never), ConnectionFailedError, ClientError if the gateway
        refuses (its cause is the ServiceError) or the client can't do it.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods
        """
        answer: dict[str, Any] = _json.parse(wait(self._invocation(method_params, device_id, module_id, timeout)))
        return answer

    @one_frame
    def receive_message_on_input(
        self, input_name: str, block: bool = True, timeout: float | None = None
    ) -> Message | None:
        """The next message on an input of the module.

        Waits and raises as `receive_twin_desired_properties_patch`.
        """
        base.warn_deprecated("receive_message_on_input", "on_message_received")
        message: Message | None = self._receive("message", input_name, block, timeout)
        return message
