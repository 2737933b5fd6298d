"""A client's handlers: who is called when something has come, and how many at a time.

The core keeps what came; a handler's next call takes the next item. So a slow handler holds up only its own
client, and nothing piles up in threads or tasks. Patches and news of the connection go one after another, of
messages and methods up to four are handled at once.
"""

from __future__ import annotations

import functools
import logging
import threading

from ferrohub._native import CoreError
from ferrohub.device._errors import public_error, translated
from ferrohub.device.base import STATE_LOGGER
from ferrohub.device.received import MODELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    from ferrohub._native import DeviceClient

    Handler = Callable[..., Any]
    Step = tuple[Handler, Callable[[], tuple[Any, ...]]]
    Done = Callable[[list[BaseException]], None]
    GiveBack = Callable[[], None]

    class Runner(Protocol):
        """Where the handlers of a client run."""

        def call(self, function: Callable[..., None], *arguments: Any) -> None:
            """Call a function of ours where it may start handlers."""

        def handle(self, steps: list[Step], done: Done, give_back: GiveBack) -> None:
            """Start these calls, one after another, and return at once.

            Each is a handler and what makes its arguments. If it gives an awaitable, that is awaited too. At the end
            `done` is called with what was raised. If they can't go on, `give_back` is called, at once: it does nothing
            if arguments have been made.
            """


logger = logging.getLogger("azure.iot.device")
state_logger = logging.getLogger(STATE_LOGGER)

AT_ONCE = {"desired_patch": 1, "message": 4, "method": 4, "event": 1}
"""How many calls of a kind may run at a time."""


class Handlers:
    """The handlers of one client."""

    def __init__(self, core: DeviceClient, runner: Runner) -> None:
        self._core = core
        self._runner = runner
        self._lock = threading.RLock()
        self._handlers: dict[str, Handler] = {}
        self._running = dict.fromkeys(AT_ONCE, 0)
        # Taken from the core, and no handler has begun it: its event loop has ended.
        self._given_back: dict[str, list[Any]] = {kind: [] for kind in MODELS}

    def settle(self, runner: Runner) -> None:
        """From now on run there. What is under way elsewhere does not count: an event loop that ended ends nothing."""
        with self._lock:
            self._runner = runner
            self._running = dict.fromkeys(AT_ONCE, 0)

    def get(self, kind: str) -> Handler | None:
        """The handler of this kind."""
        return self._handlers.get(kind)

    def set(self, kind: str, handler: Handler | None, timeout: float | None) -> None:
        """Set or remove a handler; returns when the hub has confirmed the subscription, or its end."""
        with self._lock:
            was_set = kind in self._handlers
            # Who begins to listen is not told of what was before.
            before = [] if kind in MODELS or self._listens_to_news() else self._take_all("event")
            if handler is None:
                self._handlers.pop(kind, None)
            else:
                self._handlers[kind] = handler
        for event in before:
            self._news({}, *event)
        if kind not in MODELS:
            return
        with translated():
            if handler is None and was_set:
                self._core.disable(kind, timeout).wait()
            elif handler is not None:
                # At once if it was enabled before; if that failed, it is tried again.
                self._core.enable(kind, timeout).wait()
        self.pump(kind)

    def pump_all(self) -> None:
        """Start calls for what came while nobody watched."""
        for kind in AT_ONCE:
            self.pump(kind)

    def pump(self, kind: str) -> None:
        """Start calls for what has come, as many as may run at once."""
        self._runner.call(self._pump, kind)

    def _pump(self, kind: str) -> None:
        while True:
            with self._lock:
                running = self._running
                if running[kind] >= AT_ONCE[kind] or not self._is_wanted(kind):
                    return
                item = self._take(kind)
                if item is None:
                    return
                running[kind] += 1
                # Who is called is decided now: a handler that is removed gets what it was to get.
                handlers = self._handlers.copy()
            self._start(kind, self._steps(handlers, kind, item), running, item)

    def _take(self, kind: str) -> Any:
        if self._given_back.get(kind):
            return self._given_back[kind].pop(0)
        with translated():
            return self._core.take(kind, None)

    def _take_all(self, kind: str) -> list[Any]:
        return list(iter(lambda: self._take(kind), None))

    def _is_wanted(self, kind: str) -> bool:
        return kind == "event" or kind in self._handlers

    def _listens_to_news(self) -> bool:
        return not self._handlers.keys() <= MODELS.keys()

    def _start(self, kind: str, steps: list[Step], running: dict[str, int], item: Any) -> None:
        begun = False

        def begin(make: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
            nonlocal begun
            begun = True
            return make()

        def give_back() -> None:
            if kind in MODELS and not begun:
                with self._lock:
                    self._given_back[kind].append(item)

        def end() -> None:
            with self._lock:
                running[kind] -= 1

        def done(failures: list[BaseException]) -> None:
            end()
            for failure in failures:
                self._failed(failure)
            self.pump(kind)

        if steps:
            noted: list[Step] = [(handler, functools.partial(begin, make)) for handler, make in steps]
            self._runner.handle(noted, done, give_back)
        else:  # no thread for a line in the log
            end()

    def _steps(self, handlers: dict[str, Handler], kind: str, item: Any) -> list[Step]:
        """The handlers to call for an item."""
        if kind == "event":
            return self._news(handlers, *item)
        return [(handlers[kind], lambda: (MODELS[kind](item),))]

    def _news(
        self,
        handlers: dict[str, Handler],
        event: str,
        reason: tuple[str, str, list[str]] | None,
        retry_in: float | None,
    ) -> list[Step]:
        """Log news of the connection; the handlers to call for it."""
        if event == "token_expiring":
            return [(handlers["token"], tuple)] if "token" in handlers else []
        failure = None if reason is None else public_error(CoreError(*reason))
        if failure is None or event != "failed":
            self._log(event, failure, retry_in)
        elif "background" not in handlers:
            _warn(failure)
        steps: list[Step] = []
        if failure is not None and "background" in handlers:
            steps.append((handlers["background"], lambda: (failure,)))
        if event in {"connected", "disconnected"} and "state" in handlers:
            steps.append((handlers["state"], tuple))
        return steps

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

    def _failed(self, error: BaseException) -> None:
        """A handler failed, or what came can't be read: report it, in a call of its own."""

        def done(failures: list[BaseException]) -> None:
            for failure in failures:
                logger.error("on_background_exception failed", exc_info=failure)

        handler = self._handlers.get("background")
        if handler is None:
            _warn(error)
        else:
            self._runner.handle([(handler, lambda: (error,))], done, give_back=lambda: None)


def _warn(error: BaseException) -> None:
    logger.warning("Exception caught in background thread.  Unable to handle. %s", error)
