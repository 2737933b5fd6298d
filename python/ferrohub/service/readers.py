"""How readers of what a hub gives over AMQP wait, and end: for threads, and for asyncio.

What is read, and when it counts as read, is the business of `ferrohub.service.events` and
`ferrohub.service.notifications`.
"""

from __future__ import annotations

import time

from ferrohub._frames import one_frame, one_frame_async
from ferrohub._native import CoreError
from ferrohub.service import loops, message_errors
from ferrohub.service.retry import checked_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub._native import Operation
    from ferrohub.service.authentication import Authorization

_LONGEST_WAIT = 60.0
"""In seconds: so often a credential is asked whether it has a newer token."""


class AnyReader:
    """What readers of both kinds have. `timeout` is how long nothing may come, in seconds; None waits without end."""

    def __init__(self, reader: Any, authorization: Authorization | None, timeout: float | None) -> None:
        self._reader = reader
        self._authorization = authorization
        self._timeout = None if timeout is None else checked_timeout(timeout)
        self._closed = False

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _operation(self, token: tuple[str, int] | None, deadline: float | None) -> tuple[Operation, bool]:
        """Wait until something comes, and whether it is the last time. With a credential in pieces: tokens grow old."""
        limit = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        last = token is None or (limit is not None and limit <= _LONGEST_WAIT)
        return self._reader.wait(token, limit if last else _LONGEST_WAIT), last

    def _go_on(self, error: Exception, last: bool) -> None:
        """Raise the error of a wait, unless it is to be done again or nobody waits any more."""
        if not self._closed and (last or not isinstance(error, TimeoutError)):
            raise error from None


class Reader(AnyReader):
    """Waits on the caller's thread."""

    @one_frame
    def _wait(self) -> bool:
        """Whether something has come, when it has or the time is over."""
        deadline = self._deadline()
        while not self._closed:
            token = None if self._authorization is None else self._authorization.bearer()
            operation, last = self._operation(token, deadline)
            try:
                arrived: bool = operation.wait()
            except CoreError as error:
                self._go_on(message_errors.from_core(error), last)
                continue
            if arrived or last:
                return arrived
        return False


class AsyncReader(AnyReader):
    """Waits on the running event loop."""

    @one_frame_async
    async def _wait(self) -> bool:
        """Whether something has come, when it has or the time is over."""
        deadline = self._deadline()
        while not self._closed:
            token = None if self._authorization is None else await self._authorization.bearer_awaited()
            operation, last = self._operation(token, deadline)
            try:
                arrived: bool = await loops.for_messages().run(operation)
            except Exception as error:  # noqa: BLE001 - it is raised again, unless it says nothing
                self._go_on(error, last)
                continue
            if arrived or last:
                return arrived
        return False
