"""How an asyncio event loop learns from the core: one mailbox per loop and party, one wake-up for all that is there."""

from __future__ import annotations

import asyncio
import threading
import weakref

from ferrohub._native import CoreError, Mailbox, Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class EventLoop:
    """What the core has to tell one event loop. `public_error` makes the exceptions of the party from the core's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, public_error: Callable[[CoreError], Exception]) -> None:
        # Weak: the loop holds this, through the descriptor it watches.
        self._loop = weakref.ref(loop)
        self._mailbox = Mailbox(public_error)
        self._watch(loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        descriptor = self._mailbox.fileno()
        if descriptor is not None:
            try:
                loop.add_reader(descriptor, self._drain)
            except NotImplementedError:
                pass
            else:
                return
        # Windows' default loop watches no descriptors: a thread waits, and calls the loop once per wake-up.
        threading.Thread(target=self._wait, name="ferrohub-loop", daemon=True).start()

    def _wait(self) -> None:
        while True:
            self._mailbox.wait()
            loop = self._loop()
            if loop is None or loop.is_closed():
                return
            loop.call_soon_threadsafe(self._drain)
            del loop

    def _drain(self) -> None:
        """Give futures their outcomes, and look at the news."""
        self._mailbox.drain()

    def start(self, operation: Operation) -> asyncio.Future[Any]:
        """A future of the outcome of an operation, which `cancel` is told of if it is cancelled."""
        outcome = asyncio.get_running_loop().create_future()
        operation.start(self._mailbox, outcome)
        return outcome

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """A future of the outcome of an operation. Cancelled, what was not sent is not sent."""
        outcome = Submitted(loop=asyncio.get_running_loop())
        outcome.operation = operation
        operation.start(self._mailbox, outcome)
        return outcome

    async def run(self, operation: Operation) -> Any:
        """The outcome of an operation. Cancelled, what was not sent is not sent."""
        outcome = self.start(operation)
        try:
            return await outcome
        except asyncio.CancelledError:
            cancel(operation, outcome)
            raise


def cancel(operation: Operation, outcome: asyncio.Future[Any]) -> None:
    """Nobody waits for the outcome of an operation any more: what was not sent is not sent."""
    operation.cancel()
    if outcome.done() and not outcome.cancelled():
        outcome.exception()  # it came in the same moment, and nobody looks at it any more


class Submitted(asyncio.Future):  # type: ignore[type-arg]  # of any outcome
    """The future of an operation. A callback that sees whether it was cancelled would cost as much as the rest."""

    __slots__ = ("operation",)

    operation: Operation

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the operation too."""
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            self.operation.cancel()
        return is_cancelled
