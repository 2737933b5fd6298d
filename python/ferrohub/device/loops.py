"""How an asyncio event loop learns from the core what devices are sent.

Handlers of asyncio clients run here: coroutines as tasks of the program's own loop, plain functions in threads, so
that one that blocks doesn't stop the loop.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref

from ferrohub._event_loops import EventLoop
from ferrohub._native import DeviceClient
from ferrohub.device._errors import public_error
from ferrohub.device.dispatcher import HandlerThreads
from ferrohub.device.handlers import Handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ferrohub.device.handlers import Done

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
        handlers.run = self._start
        number = next(self._numbers)
        self._clients[number] = handlers
        core.watch(self._mailbox, number)
        handlers.pump_all()

    def _start(self, call: Callable[[], Any], done: Done) -> None:
        """Run a handler; may be called on the loop or in a thread."""
        loop = self._loop()
        if loop is None or loop.is_closed():
            return
        _threads.run(lambda: self._begin(loop, call, done))

    def _begin(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any], done: Done) -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is reported
            done(error)
            return
        if not hasattr(result, "__await__"):
            done(None)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, result, done)

    def _finish(self, coroutine: Any, done: Done) -> None:
        async def run() -> None:
            failure = None
            try:
                await coroutine
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is reported
                failure = error
            done(failure)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = weakref.WeakKeyDictionary()


def running() -> Loop:
    """What the core has to tell the running event loop. Raises RuntimeError if none runs."""
    loop = asyncio.get_running_loop()
    found = _loops.get(loop)
    if found is None:
        found = _loops[loop] = Loop(loop)
    return found
