"""The asyncio clients of devices and modules.

The methods are coroutines with the names, arguments and errors of the synchronous clients (`clients`), which say more
about each. An awaiting task that is cancelled leaves nothing behind: what was not sent is not sent, what was sent is
not sent again, and what has come stays for the next call.
"""

from __future__ import annotations

import asyncio
import contextlib

from ferrohub._event_loops import cancel
from ferrohub._frames import one_frame, one_frame_async, shortened
from ferrohub.device import _json, base, loops, received
from ferrohub.device._errors import outcomes
from ferrohub.device.abstract_clients import AbstractIoTHubDeviceClient, AbstractIoTHubModuleClient
from ferrohub.device.exceptions import OperationTimeout, ShutDownError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable
    from typing import Any, TypeVar

    from ferrohub._native import Operation
    from ferrohub.device.custom_typing import StorageInfo
    from ferrohub.device.handlers import Handlers
    from ferrohub.device.message import Message
    from ferrohub.device.methods import MethodRequest, MethodResponse

    Client = TypeVar("Client", bound="GenericIoTHubClient")


class GenericIoTHubClient(base.GenericIoTHubClient):
    """What the asyncio clients of devices and modules have in common."""

    _blocks = False
    _logger_name = "azure.iot.device.iothub.aio.async_clients"
    _home: loops.Loop | None = None

    def _follow_news(self) -> Handlers:
        # Without a running loop they live with those of synchronous clients, until something is done on one.
        handlers = super()._follow_news()
        with contextlib.suppress(RuntimeError):
            self._settle(loops.running(), handlers)
        return handlers

    def _settle(self, loop: loops.Loop, handlers: Handlers) -> None:
        if self._home is not loop:
            loop.adopt(handlers, self._core)
            self._home = loop

    def _loop(self) -> loops.Loop:
        loop = loops.running()
        if self._handlers is not None and self._home is not loop:
            self._settle(loop, self._handlers)
        return loop

    def _run(self, operation: Operation) -> Coroutine[Any, Any, Any]:
        return self._loop().run(operation)

    async def __aenter__(self: Client) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ShutDownError):  # it may have been shut down within
            await self._run(self._core.shutdown(self._seconds(base.TWIN_TIMEOUT)))

    @one_frame_async
    async def connect(self, timeout: float | None = base.CONNECT_TIMEOUT) -> None:
        """Connect; at once if connected."""
        self._log("Connecting to Hub...")
        await self._run(self._core.connect(self._seconds(timeout)))
        self._log("Successfully connected to Hub")

    @one_frame_async
    async def disconnect(self, timeout: float | None = base.TWIN_TIMEOUT) -> None:
        """Disconnect; what has no answer yet is cancelled."""
        await self._run(self._core.disconnect(self._seconds(timeout)))

    @one_frame_async
    async def shutdown(self, timeout: float | None = base.TWIN_TIMEOUT) -> None:
        """Disconnect for good."""
        await self._run(self._core.shutdown(self._seconds(timeout)))

    @one_frame_async
    async def update_sastoken(self, sastoken: str, timeout: float | None = base.CONNECT_TIMEOUT) -> None:
        """Show the hub another token from now on."""
        await self._run(self._token_operation(sastoken, self._seconds(timeout)))

    async def send_message(
        self, message: Message | str | bytes | float | None, timeout: float | None = base.SEND_TIMEOUT
    ) -> None:
        """Send telemetry; done when the hub has it. Messages go out in the order of the calls."""
        # Without what other calls are made of: this is where programs spend their time (docs/performance.md).
        operation = outcome = None
        try:
            operation = self._telemetry(message, timeout)
            outcome = self._loop().start(operation)
            await outcome
        except asyncio.CancelledError as error:
            if operation is not None and outcome is not None:
                cancel(operation, outcome)
            raise shortened(error)  # noqa: B904 - it is the same one
        except BaseException as error:  # noqa: BLE001 - it is raised again
            raise shortened(error)  # noqa: B904 - it is the same one

    def _telemetry(self, message: Any, timeout: float | None) -> Operation:
        """One message of those that are sent in this turn of the loop; they leave at its end, together."""
        seconds = timeout if self._operation_timeout is None else self._seconds(timeout)
        operation, is_first = self._core.send_message_with_others(message, base.WRITER, base.checked_telemetry, seconds)
        if is_first:
            asyncio.get_running_loop().call_soon(self._core.release)
        return operation

    @one_frame
    def submit(
        self, message: Message | str | bytes | float | None, timeout: float | None = base.SEND_TIMEOUT
    ) -> asyncio.Future[None]:
        """Send telemetry; the future is done when the hub has it. No task is made: the cheapest way to send many.

        Raises ValueError and ClientError for what can't be sent, RuntimeError without a running loop; the future has
        the other errors of `send_message`. Cancelled, what was not sent is not sent.
        """
        loop = self._loop()
        return loop.submit(self._telemetry(message, timeout))

    @one_frame_async
    async def send_messages(
        self,
        messages: Iterable[Message | str | bytes | float | None],
        timeout: float | None = base.SEND_TIMEOUT,
    ) -> list[Exception | None]:
        """Send many messages without waiting for each; one outcome per message, in their order.

        An outcome is None if the hub has the message, else the exception that `send_message` would have raised: look
        at each.
        """
        return outcomes(await self._run(self._messages_operation(messages, timeout)))

    @one_frame_async
    async def flush(self, timeout: float | None = base.SEND_TIMEOUT) -> None:
        """Wait until the hub has all messages that the outbox has accepted until now."""
        await self._run(self._core.flush(self._seconds(timeout)))

    @one_frame_async
    async def get_twin(self, timeout: float | None = base.TWIN_TIMEOUT) -> dict[str, Any]:
        """The twin, as a dict."""
        twin: dict[str, Any] = _json.parse(await self._run(self._core.get_twin(self._seconds(timeout))))
        return twin

    @one_frame_async
    async def patch_twin_reported_properties(
        self, reported_properties_patch: dict[str, Any], timeout: float | None = base.TWIN_TIMEOUT
    ) -> None:
        """Merge a dict into the reported properties."""
        await self._run(self._patch_operation(reported_properties_patch, timeout))

    @one_frame_async
    async def send_method_response(
        self, method_response: MethodResponse, timeout: float | None = base.SEND_TIMEOUT
    ) -> None:
        """Answer a call of a direct method."""
        await self._run(self._response_operation(method_response, timeout))

    @one_frame
    def receive_twin_desired_properties_patch(
        self, timeout: float | None = None
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        """A coroutine of the next patch of desired properties; of None after `timeout` seconds."""
        base.warn_deprecated("receive_twin_desired_properties_patch", "on_twin_desired_properties_patch_received")
        return self._receive("desired_patch", None, timeout)

    @one_frame
    def receive_method_request(
        self, method_name: str | None = None, timeout: float | None = None
    ) -> Coroutine[Any, Any, MethodRequest]:
        """A coroutine of the next call of this method, or of any that nobody receives by name; None after `timeout`."""
        base.warn_deprecated("receive_method_request", "on_method_request_received")
        return self._receive("method", method_name, timeout)

    def desired_properties_patches(self) -> AsyncIterator[dict[str, Any]]:
        """Patches of desired properties as they come, until the client is shut down."""
        return _Items(self, "desired_patch")

    def method_requests(self) -> AsyncIterator[MethodRequest]:
        """Calls of direct methods as they come, until the client is shut down."""
        return _Items(self, "method")

    def messages(self) -> AsyncIterator[Message]:
        """Messages as they come, until the client is shut down: cloud-to-device, or on any input of a module."""
        return _Items(self, "message")

    @one_frame_async
    async def _receive(self, kind: str, name: str | None, timeout: float | None) -> Any:
        self._receive_by_calls()
        # Looking opens an inbox for the name, before the subscription brings anything.
        answer = self._core.take(kind, name)
        if answer is None:
            try:
                await self._run(self._core.enable(kind, self._seconds_to_subscribe(timeout)))
            except OperationTimeout:
                if timeout is None:
                    raise
                return None
            answer = await self._taken(kind, name, timeout)
        return None if answer is None else received.MODELS[kind](answer)

    async def _taken(self, kind: str, name: str | None, timeout: float | None) -> Any:
        """The next item, or None after `timeout`. It is taken when nothing is awaited any more: none is ever lost."""
        clock = asyncio.get_running_loop().time
        end = None if timeout is None else clock() + timeout
        while True:
            left = None if end is None else max(0.0, end - clock())
            has_arrived = await self._run(self._core.arrival(kind, name, left))
            answer = self._core.take(kind, name)
            if answer is not None or not has_arrived:
                return answer


class _Items:
    """What comes, one by one. Unlike a generator it goes on after an awaiting task was cancelled."""

    def __init__(self, client: GenericIoTHubClient, kind: str) -> None:
        self._client, self._kind = client, kind

    def __aiter__(self) -> _Items:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._client._receive(self._kind, None, None)
        except ShutDownError:
            raise StopAsyncIteration from None


class IoTHubDeviceClient(GenericIoTHubClient, AbstractIoTHubDeviceClient):
    """The asyncio client of a device."""

    @one_frame_async
    async def get_storage_info_for_blob(self, blob_name: str, timeout: float | None = base.TWIN_TIMEOUT) -> StorageInfo:
        """Ask where to upload a file to, and with which token."""
        info: StorageInfo = _json.parse(await self._run(self._storage_info_operation(blob_name, timeout)))
        return info

    @one_frame_async
    async def notify_blob_upload_status(
        self,
        correlation_id: str,
        is_success: bool,
        status_code: int,
        status_description: str,
        timeout: float | None = base.TWIN_TIMEOUT,
    ) -> None:
        """Tell the hub how the upload with this correlation id has ended."""
        await self._run(
            self._upload_status_operation(correlation_id, is_success, status_code, status_description, timeout)
        )

    @one_frame
    def receive_message(self, timeout: float | None = None) -> Coroutine[Any, Any, Message]:
        """A coroutine of the next cloud-to-device message; of None after `timeout` seconds."""
        base.warn_deprecated("receive_message", "on_message_received")
        return self._receive("message", None, timeout)


class IoTHubModuleClient(GenericIoTHubClient, AbstractIoTHubModuleClient):
    """The asyncio client of a module on a device."""

    @one_frame_async
    async def send_message_to_output(
        self,
        message: Message | str | bytes | float | None,
        output_name: str,
        timeout: float | None = base.SEND_TIMEOUT,
    ) -> None:
        """Send a message to an output of the module."""
        await self._run(self._output_operation(message, output_name, timeout))

    @one_frame_async
    async def invoke_method(
        self,
        method_params: dict[str, Any],
        device_id: str,
        module_id: str | None = None,
        timeout: float | None = base.METHOD_TIMEOUT,
    ) -> dict[str, Any]:
        """Call a direct method of a device, or of a module on it, through the gateway of IoT Edge."""
        answer: dict[str, Any] = _json.parse(
            await self._run(self._invocation(method_params, device_id, module_id, timeout))
        )
        return answer

    @one_frame
    def receive_message_on_input(self, input_name: str, timeout: float | None = None) -> Coroutine[Any, Any, Message]:
        """A coroutine of the next message on an input of the module; of None after `timeout` seconds."""
        base.warn_deprecated("receive_message_on_input", "on_message_received")
        return self._receive("message", input_name, timeout)
