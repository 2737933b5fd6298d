"""The asyncio clients of devices and modules.

The methods are coroutines with the names, arguments and errors of the synchronous clients (`clients`), which say more
about each. An awaiting task that is cancelled leaves nothing behind: what was not sent is not sent.
"""

from __future__ import annotations

import asyncio
import contextlib

from ferrohub._frames import one_frame, one_frame_async
from ferrohub.device import _json, base, loops, received
from ferrohub.device.abstract_clients import AbstractIoTHubDeviceClient, AbstractIoTHubModuleClient
from ferrohub.device.exceptions import ShutDownError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable
    from typing import Any, TypeVar

    from ferrohub._native import Operation
    from ferrohub.device.handlers import Handlers
    from ferrohub.device.message import Message
    from ferrohub.device.methods import MethodRequest, MethodResponse

    Client = TypeVar("Client", bound="GenericIoTHubClient")


class GenericIoTHubClient(base.GenericIoTHubClient):
    """What the asyncio clients of devices and modules have in common."""

    _home: loops.Loop | None = None

    def _make_handlers(self) -> Handlers:
        # Without a running loop they live with those of synchronous clients, until a call brings one.
        from ferrohub.device.dispatcher import handlers_of

        handlers = handlers_of(self._core)
        with contextlib.suppress(RuntimeError):
            self._settle(loops.running(), handlers)
        return handlers

    def _settle(self, loop: loops.Loop, handlers: Handlers) -> None:
        if self._home is not loop:
            loop.adopt(handlers, self._core)
            self._home = loop

    def _loop(self) -> loops.Loop:
        loop = loops.running()
        if self._handlers is not None:
            self._settle(loop, self._handlers)
        return loop

    async def _run(self, operation: Operation) -> Any:
        return await self._loop().run(operation)

    async def __aenter__(self: Client) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ShutDownError):  # it may have been shut down within
            await self._run(self._core.shutdown())

    @one_frame_async
    async def connect(self) -> None:
        """Connect; at once if connected."""
        await self._run(self._core.connect())

    @one_frame_async
    async def disconnect(self) -> None:
        """Disconnect; what has no answer yet is cancelled."""
        await self._run(self._core.disconnect())

    @one_frame_async
    async def shutdown(self) -> None:
        """Disconnect for good."""
        await self._run(self._core.shutdown())

    @one_frame_async
    async def update_sastoken(self, sastoken: str) -> None:
        """Show the hub another token from now on."""
        await self._run(self._token_operation(sastoken))

    @one_frame_async
    async def send_message(
        self, message: Message | str | bytes | float | None, timeout: float | None = base.SEND_TIMEOUT
    ) -> None:
        """Send telemetry; done when the hub has it. Messages go out in the order of the calls."""
        await self._run(self._message_operation(message, timeout))

    @one_frame
    def submit(
        self, message: Message | str | bytes | float | None, timeout: float | None = base.SEND_TIMEOUT
    ) -> asyncio.Future[None]:
        """Send telemetry; the future is done when the hub has it. No task is made: the cheapest way to send many.

        Raises ValueError and ClientError for what can't be sent, RuntimeError without a running loop; the future has
        the other errors of `send_message`. Cancelled, what was not sent is not sent.
        """
        return self._loop().submit(self._message_operation(message, timeout))

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
        loop = self._loop()
        futures = [loop.submit(operation) for operation in self._message_operations(messages, timeout)]
        try:
            await asyncio.wait(futures) if futures else None
        finally:
            for future in futures:
                future.cancel()
        return [_as_exception(future.exception()) for future in futures]

    @one_frame_async
    async def get_twin(self, timeout: float | None = base.TWIN_TIMEOUT) -> dict[str, Any]:
        """The twin, as a dict."""
        twin: dict[str, Any] = _json.parse(await self._run(self._core.get_twin(timeout)))
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
    def receive_twin_desired_properties_patch(self) -> Coroutine[Any, Any, dict[str, Any]]:
        """A coroutine of the next patch of desired properties."""
        base.warn_deprecated("receive_twin_desired_properties_patch", "on_twin_desired_properties_patch_received")
        return self._receive("desired_patch", None)

    @one_frame
    def receive_method_request(self, method_name: str | None = None) -> Coroutine[Any, Any, MethodRequest]:
        """A coroutine of the next call of this method, or of any that nobody receives by name."""
        base.warn_deprecated("receive_method_request", "on_method_request_received")
        return self._receive("method", method_name)

    def desired_properties_patches(self) -> AsyncIterator[dict[str, Any]]:
        """Patches of desired properties as they come, until the client is shut down."""
        return self._items("desired_patch")

    def method_requests(self) -> AsyncIterator[MethodRequest]:
        """Calls of direct methods as they come, until the client is shut down."""
        return self._items("method")

    def messages(self) -> AsyncIterator[Message]:
        """Messages as they come, until the client is shut down: cloud-to-device, or on any input of a module."""
        return self._items("message")

    async def _items(self, kind: str) -> AsyncIterator[Any]:
        with contextlib.suppress(ShutDownError):
            while True:
                yield await self._receive(kind, None)

    @one_frame_async
    async def _receive(self, kind: str, name: str | None) -> Any:
        self._receive_by_calls()
        # Looking opens an inbox for the name, before the subscription brings anything.
        answer = self._core.take(kind, name)
        if answer is None:
            await self._run(self._core.enable(kind, None))
            answer = await self._run(self._core.receive(kind, name, None))
        return received.MODELS[kind](answer)


def _as_exception(error: BaseException | None) -> Exception | None:
    # Futures of operations end with exceptions of the core, and with nothing worse.
    return error if isinstance(error, Exception) else None


class IoTHubDeviceClient(GenericIoTHubClient, AbstractIoTHubDeviceClient):
    """The asyncio client of a device."""

    @one_frame
    def receive_message(self) -> Coroutine[Any, Any, Message]:
        """A coroutine of the next cloud-to-device message."""
        base.warn_deprecated("receive_message", "on_message_received")
        return self._receive("message", None)


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

    @one_frame
    def receive_message_on_input(self, input_name: str) -> Coroutine[Any, Any, Message]:
        """A coroutine of the next message on an input of the module."""
        base.warn_deprecated("receive_message_on_input", "on_message_received")
        return self._receive("message", input_name)
