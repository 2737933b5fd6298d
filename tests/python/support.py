"""What the acceptance tests share: programs in processes of their own, waited for by what they print.

Nothing here sleeps; every wait has an end. Times are generous, so that a slow machine fails no test: tests of speed
measure for themselves.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Union

import pytest
from typing_extensions import Self

ROOT = Path(__file__).parent.parent.parent
WHEELS = ROOT / "build" / "wheels"
OFFICIAL = Path(os.environ.get("FERROHUB_OFFICIAL_VENV", ROOT / ".venv-official")) / "bin" / "python"
TUTORIAL = Path(os.environ.get("FERROHUB_TUTORIAL", ROOT.parent / "shared" / "tutorial"))

DEVICE, MODULE = "myFirstDevice", "myFirstModule"
PATCH_TOPIC = "$iothub/twin/PATCH/properties/desired/#"
PATIENCE = 30.0

CREATE = "CreateModule.py"
RECEIVE = "ReceiveModuleTwinDesiredPropertiesPatch.py"
UPDATE = "UpdateModuleTwinDesiredProperties.py"

Argument = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    code: int
    out: str
    err: str


def run(*command: Argument, env: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> Outcome:
    """Run a program to its end, with these variables added to the environment."""
    done = subprocess.run(
        command,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


class Program:
    """A program that goes on running; its lines are waited for. A context manager: at the end it is killed."""

    def __init__(self, *command: Argument, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._errors: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        assert self.process.stdout
        assert self.process.stderr
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._errors.extend, args=(self.process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def next_line(self) -> str:
        """The next line it prints."""
        try:
            line = self._queue.get(timeout=PATIENCE)
        except queue.Empty:
            pytest.fail(f"nothing printed for {PATIENCE:g} s after {self.lines}; errors: {self._errors}")
        if line is None:
            pytest.fail(f"ended after {self.lines}; errors: {self._errors}")
        self.lines.append(line)
        return line

    def wait_for(self, pattern: str) -> str:
        """The next line that matches; those before it are in `lines`."""
        while True:
            line = self.next_line()
            if re.search(pattern, line):
                return line

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self, timeout: float = PATIENCE) -> Outcome:
        """Wait for its end; everything it has printed."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        while (line := self._queue.get(timeout=timeout)) is not None:
            self.lines.append(line)
        return Outcome(code, "\n".join(self.lines), "".join(self._errors))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE)
        assert self.process.stdout
        assert self.process.stderr
        self.process.stdout.close()
        self.process.stderr.close()


def official_python() -> Path:
    """The Python that has Microsoft's packages."""
    if not OFFICIAL.exists():
        pytest.skip(f"no official packages in {OFFICIAL.parent.parent}: run `make official`")
    return OFFICIAL


def wheel(name: str) -> Path:
    """The wheel of this distribution, as `make local-wheels` built it."""
    found = sorted(WHEELS.glob(f"{name}-*.whl"))
    if not found:
        pytest.skip(f"no wheel of {name} in {WHEELS}: run `make local-wheels`")
    return found[-1]


def tutorial_script(name: str, connection_string: str, folder: Path) -> Path:
    """A script of the tutorial with its placeholder replaced, and nothing else."""
    source = TUTORIAL / name
    if not source.exists():
        pytest.skip(f"the tutorial's scripts are not in {TUTORIAL}: set FERROHUB_TUTORIAL")
    text = source.read_text("utf-8")
    filled = re.sub(
        r'^CONNECTION_STRING = ".*"$', f'CONNECTION_STRING = "{connection_string}"', text, flags=re.MULTILINE
    )
    assert filled != text
    target = folder / name
    target.write_text(filled, "utf-8")
    return target


def same_but_for_values(text: str) -> str:
    """The text with keys, timestamps and object addresses replaced by words."""
    text = re.sub(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=", "<key>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>", text)
    return re.sub(r"0x[0-9a-f]+", "<address>", text)


def key_of(connection_string: str) -> str:
    """The key in a connection string: what no text may hold."""
    found = re.search(r"SharedAccessKey=([^;]+)", connection_string)
    assert found
    return found.group(1)


def own_network(command: Sequence[Argument], *, hosts: str | None = None) -> list[Argument]:
    """The command, to run in a network of its own: every port is free and may be used, nothing outside is reached.

    With `hosts`, /etc/hosts has these lines more. Skips where the system refuses.
    """
    inside = Path(__file__).parent / "own_network.py"
    probe = ["unshare", "--map-root-user", "--net", "--mount"]
    try:
        subprocess.run([*probe, "true"], check=True, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"unshare -rn is refused here: {error}")
    return [*probe, sys.executable, inside, hosts or "", *command]
