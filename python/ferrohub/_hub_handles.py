"""How `LocalHub` holds its hub: on threads of this process, or over pipes to a process of its own.

Errors are returned as values, for the facade to raise.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from ferrohub import _native

if TYPE_CHECKING:
    import subprocess
    from concurrent.futures import Future
    from typing import IO

# How long a hub's process may take to end by itself.
STOP_TIMEOUT = 5.0
# Not an argument: everyone on this machine can see those.
KEY_VARIABLE = "FERROHUB_KEY"


class Options(NamedTuple):
    """What a hub is started with; see `LocalHub`."""

    port: int
    standard_ports: bool
    data: str | None
    host_name: str | None
    key: str | None
    limits: list[str]
    """As the command has them: `modules=5`."""
    partitions: int | None
    consumer_groups: list[str]
    events: list[str]


class Handle(Protocol):
    """A running hub."""

    description: dict[str, Any]
    pid: int

    def ask(self, request: dict[str, Any]) -> tuple[Any, Exception | None]:
        """The answer to a request, or why there is none."""

    def stop(self) -> None:
        """End the hub well."""

    def kill(self) -> Exception | None:
        """End the hub's process at once, or say why it can't be."""


def open_handle(kind: type[ThreadHandle | ProcessHandle], options: Options) -> tuple[Handle | None, Exception | None]:
    """Start a hub, or say why it can't be."""
    try:
        return kind(options), None
    except _native.CoreError as error:
        name, message, causes = error.args
        return None, exception_for(name, ": ".join([message, *causes]))
    except HubError as error:
        return None, exception_for(*error.args)


def exception_for(kind: str, message: str) -> Exception:
    """The exception that users see for an error of the hub."""
    kinds: dict[str, type[Exception]] = {
        "invalid_argument": ValueError,
        "not_found": LookupError,
        "timeout": TimeoutError,
    }
    return kinds.get(kind, OSError)(message)


class HubError(Exception):
    """The hub could not be started; `args` is (kind, message)."""

    args: tuple[str, str]


def _unpack(reply: dict[str, Any]) -> tuple[Any, Exception | None]:
    error = reply.get("error")
    if error is None:
        return reply["result"], None
    return None, exception_for(error["kind"], error["message"])


def _encode(request: dict[str, Any]) -> str:
    """A request as the hub reads it; a ValueError for what JSON can't hold: NaN, half of a surrogate pair."""
    text = json.dumps(request, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text


class ThreadHandle:
    """A hub on threads of this process."""

    def __init__(self, options: Options) -> None:
        self._hub = _native.Hub(*options)
        self.description: dict[str, Any] = json.loads(self._hub.describe())
        self.pid = os.getpid()

    def ask(self, request: dict[str, Any]) -> tuple[Any, Exception | None]:
        """The answer to a request, or why there is none."""
        try:
            return _unpack(json.loads(self._hub.call(_encode(request))))
        except (RuntimeError, ValueError) as error:
            return None, error.with_traceback(None)

    def stop(self) -> None:
        """End the hub well."""
        self._hub.stop()

    def kill(self) -> Exception | None:
        """Say why this process can't be killed."""
        return RuntimeError("only a hub in a process of its own can be killed: LocalHub(process=True)")


class ProcessHandle:
    """A hub in a process of its own, which ends when this process does, however that ends."""

    def __init__(self, options: Options) -> None:
        self._process = _launch(options)
        self.pid = self._process.pid
        self._pending = _Pending()
        self._requests = cast("IO[str]", self._process.stdin)
        answers = cast("IO[str]", self._process.stdout)
        self._writing = threading.Lock()
        first = answers.readline()
        ready: dict[str, Any] = json.loads(first) if first else {}
        if "port" not in ready:
            self.kill()
            answers.close()
            error = ready.get("error") or {"kind": "system", "message": "the hub's process ended before it was ready"}
            raise HubError(error["kind"], error["message"])
        self.description = ready
        self._reader = threading.Thread(target=self._pending.read, args=(answers,), daemon=True)
        self._reader.start()

    def ask(self, request: dict[str, Any]) -> tuple[Any, Exception | None]:
        """The answer to a request, or why there is none."""
        number, future = self._pending.add()
        try:
            with self._writing:
                self._requests.write(_encode({"id": number, **request}) + "\n")
                self._requests.flush()
        except ValueError as error:
            self._pending.forget(number)
            return None, error.with_traceback(None)
        except OSError:
            self._pending.fail()
        reply = future.result()
        return (None, OSError("the hub's process has ended")) if reply is None else _unpack(reply)

    def stop(self) -> None:
        """End the hub well: it ends with its input."""
        import subprocess

        self._close_input()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(STOP_TIMEOUT)

    def kill(self) -> Exception | None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        self._close_input()
        return None

    def _close_input(self) -> None:
        try:
            with self._writing:
                self._requests.close()
        except OSError:
            pass  # The process has ended, and what was not read is lost with it.


class _Pending:
    """The requests that have no answer yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[int, Future[dict[str, Any] | None]] = {}
        self._last = 0
        self._ended = False

    def add(self) -> tuple[int, Future[dict[str, Any] | None]]:
        from concurrent.futures import Future

        future: Future[dict[str, Any] | None] = Future()
        with self._lock:
            self._last += 1
            if self._ended:
                future.set_result(None)
            else:
                self._futures[self._last] = future
            return self._last, future

    def forget(self, number: int) -> None:
        """No answer will come to this one: it was not asked."""
        with self._lock:
            self._futures.pop(number, None)

    def read(self, answers: IO[str]) -> None:
        """Hand out answers until the process ends."""
        with answers:
            for line in answers:
                if not line.endswith("\n"):
                    break  # The process was killed while it wrote.
                reply = json.loads(line)
                with self._lock:
                    future = self._futures.pop(reply["id"])
                future.set_result(reply)
        self.fail()

    def fail(self) -> None:
        """No more answers will come."""
        with self._lock:
            self._ended = True
            futures = list(self._futures.values())
            self._futures.clear()
        for future in futures:
            future.set_result(None)


def _launch(options: Options) -> subprocess.Popen[str]:
    import subprocess
    import sys

    command = [sys.executable, "-m", "ferrohub", "up", "--json", "--attached", "--port", str(options.port)]
    if options.standard_ports:
        command.append("--standard-ports")
    if options.data is not None:
        command += ["--data", options.data]
    if options.host_name is not None:
        command += ["--host-name", options.host_name]
    if options.partitions is not None:
        command += ["--partitions", str(options.partitions)]
    command += [argument for limit in options.limits for argument in ("--limit", limit)]
    command += [argument for group in options.consumer_groups for argument in ("--consumer-group", group)]
    command += [argument for source in options.events for argument in ("--events", source)]
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    if options.key == "random":
        command += ["--key", "random"]
    elif options.key is not None:
        environment[KEY_VARIABLE] = options.key
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8"
    )
