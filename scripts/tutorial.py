"""`make tutorial`: a local hub, and the three steps of the tutorial as three separate processes.

Shows what each step prints, and checks it: two updates must give exactly two prints, and the hub must have sent
exactly two messages for them. Any deviation is named and ends the run with exit code 1.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from ferrohub import LocalHub

EXAMPLES = Path(__file__).parent.parent / "examples"
DEVICE, MODULE = "myFirstDevice", "myFirstModule"
PATCH_TOPIC = "$iothub/twin/PATCH/properties/desired/#"
UPDATES = {122: "{'telemetryInterval': 122, '$version': 2}", 123: "{'telemetryInterval': 123, '$version': 3}"}
PATIENCE = 10.0  # seconds for anything; all of it takes about one


class Deviation(Exception):
    """Something was not as it has to be."""


def expect(what: str, actual: object, expected: object) -> None:
    """Go on only if they are the same."""
    if actual != expected:
        raise Deviation(f"{what}: expected {expected!r}, got {actual!r}")


def show(step: str, text: str) -> None:
    """Print what a step printed, with its name in front."""
    for line in text.splitlines():
        print(f"  {step:<28} | {line}", flush=True)


class Lines:
    """The lines a process prints, each to be waited for."""

    def __init__(self, step: str, stream: IO[str]) -> None:
        self._step = step
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def next(self) -> str | None:
        """The next line; None at the end of the output."""
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise Deviation(f"{self._step} printed nothing for {PATIENCE:g} s") from None
        show(self._step, line or "")
        return line


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with these connection strings."""
    return {**os.environ, **variables}


def run(step: str, *arguments: str, service: str) -> list[str]:
    """Run a step to its end; its lines."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / step, *arguments],
        env=environment(IOTHUB_CONNECTION_STRING=service),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    show(step, done.stdout + done.stderr)
    expect(f"{step}, exit code", done.returncode, 0)
    expect(f"{step}, errors", done.stderr, "")
    return done.stdout.splitlines()


def update(interval: int, service: str) -> None:
    """One update; it must print the twin before and after."""
    before, after = run("update_desired_properties.py", str(interval), service=service)
    new_value = f"'telemetryInterval': {interval},"
    expect("the twin before has the new value", new_value in before, False)
    expect("the twin after has the new value", new_value in after, True)


def tutorial() -> None:
    """The three steps."""
    with LocalHub() as hub:
        print(f"A local hub on {hub.host_name}, port {hub.port}")
        run("create_module.py", service=hub.connection_string)

        step = "receive_desired_properties.py"
        receiver = subprocess.Popen(
            [sys.executable, EXAMPLES / step],
            env=environment(MODULE_CONNECTION_STRING=hub.module_connection_string(DEVICE, MODULE)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert receiver.stdout
            lines = Lines(step, receiver.stdout)
            hub.wait_subscribed(DEVICE, MODULE, PATCH_TOPIC, timeout=PATIENCE)
            for interval, printed in UPDATES.items():
                update(interval, hub.connection_string)
                expect(f"{step}, after the update to {interval}", lines.next(), printed)
            receiver.send_signal(signal.SIGINT)
            expect(f"{step}, after Ctrl-C", lines.next(), "stopped")
            expect(f"{step}, after that", lines.next(), None)
            expect(f"{step}, exit code", receiver.wait(PATIENCE), 0)
        finally:
            receiver.kill()
            receiver.wait()
        expect(
            "desired-property messages the hub sent",
            hub.statistics()["desired_patches_published"],
            len(UPDATES),
        )


def main() -> int:
    """Run it, and say how it went."""
    started = time.monotonic()
    # In a background job Ctrl-C is ignored, and so in the programs it starts; the receiver must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        tutorial()
    except (Deviation, subprocess.TimeoutExpired, OSError) as error:
        print(f"The tutorial did NOT run as it must. {error}", file=sys.stderr)
        return 1
    print(f"As it must be: two updates, two prints, two messages; {time.monotonic() - started:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
