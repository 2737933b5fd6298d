"""A client's handlers: who is called when something has come, and how many at a time.

The core keeps what came; a handler's next call takes the next item. So a slow handler holds up only its own
client, and nothing piles up in threads or tasks. Patches and news of the connection go one after another, of
messages and methods up to four are handled at once.
"""

from __future__ import annotations

import logging
import threading

from ferrohub._native import CoreError
from ferrohub.device._errors import public_error, translated
from ferrohub.device.base import STATE_LOGGER
from ferrohub.device.received import MODELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ferrohub._native import DeviceClient

    Handler = Callable[..., Any]
    Done = Callable[["Exception | None"], None]
    Run = Callable[[Callable[[], Any], Done], None]

logger = logging.getLogger("azure.iot.device")
state_logger = logging.getLogger(STATE_LOGGER)

AT_ONCE = {"desired_patch": 1, "message": 4, "method": 4, "event": 1}
"""How many calls of a kind may run at a time."""


class Handlers:
    """The handlers of one client.

    `run(call, done)` starts a call somewhere and returns at once; if the call gives a coroutine, that is run too.
    When all has ended, it calls `done` with what was raised, or None.
    """

    def __init__(self, core: DeviceClient, run: Run) -> None:
        self._core = core
        self.run = run
        self._lock = threading.RLock()
        self._handlers: dict[str, Handler] = {}
        self._running = dict.fromkeys(AT_ONCE, 0)

    def get(self, kind: str) -> Handler | None:
        """The handler of this kind."""
        return self._handlers.get(kind)

    def set(self, kind: str, handler: Handler | None, timeout: float | None) -> None:
        """Set or remove a handler; returns when the hub has confirmed the subscription, or its end."""
        with self._lock:
            was_set = kind in self._handlers
            # Who begins to listen is not told of what was before.
            before = [] if kind in MODELS or self._listeners() else self._take_all("event")
            if handler is None:
                self._handlers.pop(kind, None)
            else:
                self._handlers[kind] = handler
        for event in before:
            self._tell({}, *event)
        if kind not in MODELS:
            return
        with translated():
            if handler is None and was_set:
                self._core.disable(kind, timeout).wait()
            elif handler is not None and not was_set:
                self._core.enable(kind, timeout).wait()
        self.pump(kind)

    def pump_all(self) -> None:
        """Start calls for what came while nobody watched."""
        for kind in AT_ONCE:
            self.pump(kind)

    def pump(self, kind: str) -> None:
        """Start calls for what has come, as many as may run at once."""
        while True:
            with self._lock:
                if self._running[kind] >= AT_ONCE[kind] or not self._is_wanted(kind):
                    return
                item = self._take(kind)
                if item is None:
                    return
                self._running[kind] += 1
                # Who is called is decided now: a handler that is removed gets what it was to get.
                call = self._call(kind, item)
                is_only_logged = kind == "event" and not self._listeners()
            if is_only_logged:
                call()  # here: no thread for a line in the log
                with self._lock:
                    self._running[kind] -= 1
            else:
                self._start(kind, call)

    def _take(self, kind: str) -> Any:
        with translated():
            return self._core.take(kind, None)

    def _take_all(self, kind: str) -> list[Any]:
        return list(iter(lambda: self._take(kind), None))

    def _is_wanted(self, kind: str) -> bool:
        return kind == "event" or kind in self._handlers

    def _listeners(self) -> dict[str, Handler]:
        """The handlers of news of the connection."""
        return {kind: handler for kind, handler in self._handlers.items() if kind not in MODELS}

    def _start(self, kind: str, call: Callable[[], Any]) -> None:
        def done(failure: Exception | None) -> None:
            with self._lock:
                self._running[kind] -= 1
            if failure is not None:
                self._failed(failure)
            self.pump(kind)

        self.run(call, done)

    def _call(self, kind: str, item: Any) -> Callable[[], Any]:
        """What is to be run for an item: a function, whose result may be a coroutine."""
        if kind == "event":
            listeners = self._listeners()
            return lambda: self._tell(listeners, *item)
        handler = self._handlers[kind]
        return lambda: handler(MODELS[kind](item))

    def _tell(
        self,
        listeners: dict[str, Handler],
        event: str,
        reason: tuple[str, str, list[str]] | None,
        retry_in: float | None,
    ) -> Any:
        """Tell of news of the connection; a coroutine if a handler is one."""
        if event == "token_expiring":
            return listeners["token"]() if "token" in listeners else None
        failure = None if reason is None else public_error(CoreError(*reason))
        if event == "failed":
            return self._background(failure)
        self._log(event, failure, retry_in)
        coroutines = []
        if failure is not None and "background" in listeners:
            coroutines.append(listeners["background"](failure))
        if event != "attempt_failed" and "state" in listeners:
            coroutines.append(listeners["state"]())
        return _all(coroutines)

    def _log(self, event: str, failure: Exception | None, retry_in: float | None) -> None:
        """One line for each event, with the client, the reason, and when it connects again."""
        name = self._core.client_id
        if failure is None:
            state_logger.info("Connection State - %s (%s)", event.capitalize(), name)
        else:
            # An outage has many failed attempts, and one beginning.
            level = logging.INFO if event == "attempt_failed" and retry_in is not None else logging.WARNING
            then = "not connecting again" if retry_in is None else f"connecting again in {retry_in:.1f} s"
            state_logger.log(level, "Connection State - Disconnected (%s): %s; %s", name, failure, then)

    def _background(self, error: BaseException | None) -> Any:
        """Report an error that no call waits for; a coroutine if the handler is one."""
        handler = self._handlers.get("background")
        if handler is None:
            logger.warning("Exception caught in background thread.  Unable to handle. %s", error)
            return None
        return handler(error)

    def _failed(self, error: Exception) -> None:
        """A handler failed, or what came can't be read: report it, in a call of its own."""

        def done(failure: Exception | None) -> None:
            if failure is not None:
                logger.error("on_background_exception failed", exc_info=failure)

        self.run(lambda: self._background(error), done)


def _all(results: list[Any]) -> Any:
    """One awaitable of those that are; None if none is."""
    awaitables = [result for result in results if hasattr(result, "__await__")]
    if not awaitables:
        return None

    async def each() -> None:
        for awaitable in awaitables:
            await awaitable

    return each()
