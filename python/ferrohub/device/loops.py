"""How an asyncio event loop learns from the core what devices are sent.

Handlers of asyncio clients run here: coroutines as tasks of the program's own loop, plain functions in threads, so
that one that blocks doesn't stop the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import weakref

from ferrohub._event_loops import EventLoop
from ferrohub._native import DeviceClient
from ferrohub.device._errors import public_error
from ferrohub.device.dispatcher import HandlerThreads
from ferrohub.device.handlers import Handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ferrohub.device.handlers import Done, GiveBack, Handler, Step

PAUSE_AFTER_CANCELLATION = 0.5
"""Seconds."""

_threads = HandlerThreads()


class Loop(EventLoop):
    """What the core has to tell one event loop about devices."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._numbers = itertools.count()
        self._clients: weakref.WeakValueDictionary[int, Handlers] = weakref.WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        super().__init__(loop, public_error)

    def _drain(self) -> None:
        for number, kind in self._mailbox.drain():
            handlers = self._clients.get(number)
            if handlers is not None:
                handlers.pump(kind)

    def adopt(self, handlers: Handlers, core: DeviceClient) -> None:
        """From now on these handlers run here."""
        number = next(self._numbers)
        self._clients[number] = handlers
        core.watch(self._mailbox, number)
        handlers.settle(self)
        # Not now: the program may be about to set the handler that what has come is for.
        asyncio.get_running_loop().call_soon(handlers.pump_all)

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call this on the loop: at once if that is where we are, never if it is closed."""
        loop = self._loop()
        if loop is not None and loop is _running():
            function(*arguments)
        elif loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(function, *arguments)

    def handle(self, steps: list[Step], done: Done, give_back: GiveBack) -> None:
        """Run handlers in a task of the loop. Cancelled, or ended with the loop, it has no failures."""
        self.call(self._begin, steps, done, give_back)

    def _begin(self, steps: list[Step], done: Done, give_back: GiveBack) -> None:
        loop = asyncio.get_running_loop()

        def ended(task: asyncio.Task[list[BaseException]]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                # Most often the loop is ending: what comes next is for another one, and what has not begun.
                give_back()
                loop.call_later(PAUSE_AFTER_CANCELLATION, done, [])
            else:
                done([] if task.exception() else task.result())

        task = loop.create_task(_handle_all(steps))
        self._tasks.add(task)
        task.add_done_callback(ended)


async def _handle_all(steps: list[Step]) -> list[BaseException]:
    failures = [await _failure_of(handler, arguments) for handler, arguments in steps]
    return [failure for failure in failures if failure is not None]


async def _failure_of(handler: Handler, arguments: Callable[[], tuple[Any, ...]]) -> BaseException | None:
    """Coroutine functions run here, other handlers in a thread: they may block."""
    try:
        if inspect.iscoroutinefunction(handler):
            await handler(*arguments())
        else:
            return await _in_thread(handler, arguments)
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is reported
        return error
    return None


async def _in_thread(handler: Handler, arguments: Callable[[], tuple[Any, ...]]) -> BaseException | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    made = arguments()  # here: from now on the handler has begun

    def tell(result: Any, failure: BaseException | None) -> None:
        if not ended.done():
            ended.set_result((result, failure))

    def work() -> Callable[[], None]:
        result, failure = None, None
        try:
            result = handler(*made)
        except BaseException as error:  # noqa: BLE001 - it is told where the handler was called
            failure = error
        return lambda: tell_loop(result, failure)

    def tell_loop(result: Any, failure: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result, failure)

    _threads.run(work)
    result, failure = await ended
    if hasattr(result, "__await__"):
        await result
    return failure


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = weakref.WeakKeyDictionary()
# The one that was asked for last: nearly always there is only one, and it is found sooner here.
_last: tuple[weakref.ref[asyncio.AbstractEventLoop], weakref.ref[Loop]] | None = None


def _running() -> asyncio.AbstractEventLoop | None:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def running() -> Loop:
    """What the core has to tell the running event loop. Raises RuntimeError if none runs."""
    global _last  # noqa: PLW0603 - a cache
    loop, last = asyncio.get_running_loop(), _last
    if last is not None and last[0]() is loop:
        found = last[1]()
        if found is not None:
            return found
    found = _loops.get(loop)
    if found is None:
        found = _loops[loop] = Loop(loop)
    _last = weakref.ref(loop), weakref.ref(found)
    return found


def _start_clean() -> None:
    """In a forked child the handlers' threads don't exist."""
    global _threads  # noqa: PLW0603 - one set per process
    _threads = HandlerThreads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_clean)
