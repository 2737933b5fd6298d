"""Runs the handlers of the process's synchronous clients.

One thread waits for news from the core. Handlers run in threads that are there only while they are needed: at most
64, gone after 10 s without work. A client is held weakly: forgotten, it is gone.
"""

from __future__ import annotations

import functools
import itertools
import os
import queue
import threading
import weakref

from ferrohub._native import DeviceClient, Mailbox
from ferrohub.device._errors import public_error
from ferrohub.device.handlers import Handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ferrohub.device.handlers import Done, GiveBack, Handler, Step

MOST_THREADS = 64
IDLE_SECONDS = 10.0


class HandlerThreads:
    """Threads for handlers, started when there is work and none is free."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], Callable[[], None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        # Threads that have nothing to do, less the work that waits for one.
        self._free = 0

    def run(self, work: Callable[[], Callable[[], None]]) -> None:
        """Run it in a thread, as soon as one is free; what it returns is called when the thread is free for more."""
        with self._lock:
            self._free -= 1
            is_missing = self._free < 0 and self._threads < MOST_THREADS
            if is_missing:
                self._free += 1
                self._threads += 1
        self._work.put(work)
        if is_missing:
            threading.Thread(target=self._serve, name="ferrohub-handler", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                if self._is_superfluous():
                    return
                continue
            then = work()
            with self._lock:
                self._free += 1
            then()
            del work, then  # an idle thread must not keep a client that is forgotten

    def _is_superfluous(self) -> bool:
        """Whether this thread may end: no work is on its way to it."""
        with self._lock:
            if self._free <= 0:
                return False
            self._free -= 1
            self._threads -= 1
            return True


class Dispatcher:
    """The thread that waits for news, and whom it is for."""

    def __init__(self) -> None:
        self._mailbox = Mailbox(public_error)
        self._threads = HandlerThreads()
        self._clients: weakref.WeakValueDictionary[int, Handlers] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()
        threading.Thread(target=self._wait, name="ferrohub-dispatcher", daemon=True).start()

    def handlers_of(self, core: DeviceClient) -> Handlers:
        """The handlers of a client, which from now on are told of its news."""
        handlers = Handlers(core, self)
        number = next(self._numbers)
        self._clients[number] = handlers
        core.watch(self._mailbox, number)
        return handlers

    def _wait(self) -> None:
        while True:
            self._mailbox.wait()
            for number, kind in self._mailbox.drain():
                handlers = self._clients.get(number)
                if handlers is not None:
                    handlers.pump(kind)
                del handlers

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Any thread may start handlers."""
        function(*arguments)

    def handle(self, steps: list[Step], done: Done, give_back: GiveBack) -> None:
        """Run handlers in a thread."""
        self._threads.run(lambda: functools.partial(done, _handle_all(steps)))


def _handle_all(steps: list[Step]) -> list[BaseException]:
    failures = [_failure_of(handler, arguments) for handler, arguments in steps]
    return [failure for failure in failures if failure is not None]


def _failure_of(handler: Handler, arguments: Callable[[], tuple[Any, ...]]) -> BaseException | None:
    """Run a handler, also if it is a coroutine function. One that exits ends no thread that others need."""
    try:
        result = handler(*arguments())
        if hasattr(result, "__await__"):
            import asyncio

            asyncio.run(_awaited(result))
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises is reported, and its thread goes on
        return error
    return None


async def _awaited(awaitable: Any) -> None:
    await awaitable


_dispatcher: Dispatcher | None = None
_lock = threading.Lock()


def handlers_of(core: DeviceClient) -> Handlers:
    """The handlers of a synchronous client; the dispatcher starts with the first."""
    global _dispatcher  # noqa: PLW0603 - one per process
    with _lock:
        if _dispatcher is None:
            _dispatcher = Dispatcher()
        return _dispatcher.handlers_of(core)


def _start_clean() -> None:
    """In a forked child the dispatcher's thread doesn't exist."""
    global _dispatcher, _lock
    _dispatcher, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_clean)
