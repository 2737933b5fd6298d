"""How many instructions a message takes on the hot paths, held against `instructions.json`: `make instructions`.

Times on shared machines aren't stable; the instructions that valgrind counts are, within a few percent. A program is
run with few messages and with many; what a message takes is the difference, so starting doesn't count. `--renew`
writes what it finds to `instructions.json`: do that when a change is meant to be there, and say why in the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub

FOLDER = Path(__file__).parent
EXPECTED = FOLDER / "instructions.json"
TOLERANCE = 0.1
FEW, MANY = 512, 2560
VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
COMMAND = Path(sys.executable).with_name("ferrohub")
PYTHON = ".".join(platform.python_version_tuple()[:2])
"""A Python of another version takes other numbers of instructions."""
SECONDS = 120


class Address(NamedTuple):
    """Where a program finds a hub."""

    service: str
    ca_file: str


def device_of(hub: Address, name: str) -> str:
    """The connection string of a new device."""
    with IoTHubRegistryManager.from_connection_string(hub.service) as manager:
        device = manager.create_device_with_sas(name, "", "", "enabled")
    host = dict(part.split("=", 1) for part in hub.service.split(";"))["HostName"]
    return f"HostName={host};DeviceId={name};SharedAccessKey={device.authentication.symmetric_key.primary_key}"


def environment(hub: Address, name: str, count: int) -> dict[str, str]:
    """What a program of `device/` is told."""
    told = {"BENCH_DEVICE": device_of(hub, name), "BENCH_CA_FILE": hub.ca_file, "BENCH_CALLS": str(count)}
    # The same order in every dict and set.
    return {**os.environ, **told, "PYTHONPATH": str(FOLDER), "PYTHONHASHSEED": "0"}


def counted(said: str) -> int:
    """The number of instructions in what valgrind says at the end."""
    found = re.search(r"I\s+refs:\s+([\d,]+)", said)
    if found is None:
        raise SystemExit(f"valgrind counted nothing; it said:\n{said}")
    return int(found.group(1).replace(",", ""))


def of_client(program: str) -> Callable[[Address, int], int]:
    """Counts the instructions of a sending program."""

    def count(hub: Address, messages: int) -> int:
        told = environment(hub, f"{Path(program).stem}-{messages}", messages)
        command = [*VALGRIND, sys.executable, str(FOLDER / program)]
        ran = subprocess.run(command, env=told, capture_output=True, text=True, check=True, timeout=SECONDS)
        return counted(ran.stderr)

    return count


def of_hub(_: Address, messages: int) -> int:
    """Counts the instructions of a hub to which a program sends."""
    with TemporaryDirectory() as home:
        told = {**os.environ, "FERROHUB_HOME": home, "PYTHONHASHSEED": "0"}
        with subprocess.Popen(
            [*VALGRIND, sys.executable, str(COMMAND), "up", "--port", "0"],
            env=told,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            service = next(line for line in process.stdout if "SharedAccessKey=" in line).split()[-1]
            os.environ["FERROHUB_HOME"] = home
            hub = Address(service, str(next(Path(home).glob("*.pem"))))
            program = [sys.executable, str(FOLDER / "device" / "gather.py")]
            subprocess.run(
                program, env=environment(hub, "d", messages), check=True, stdout=subprocess.DEVNULL, timeout=SECONDS
            )
            process.send_signal(signal.SIGINT)
            return counted(process.communicate(timeout=SECONDS)[1])


PATHS: dict[str, Callable[[Address, int], int]] = {
    "await send_message": of_client("device/gather.py"),
    "send_message": of_client("device/one_after_another.py"),
    "hub, a message in": of_hub,
}


@contextmanager
def own_hub() -> Iterator[Address]:
    """For the clients; it is not counted."""
    with LocalHub(process=True) as hub:
        yield Address(hub.connection_string, hub.ca_file)


def measured() -> dict[str, int]:
    """The instructions of a message on each path."""
    found = {}
    with own_hub() as hub, ThreadPoolExecutor(2) as pool:
        for name, count in PATHS.items():
            few, many = pool.map(lambda messages, count=count: count(hub, messages), (FEW, MANY))
            found[name] = round((many - few) / (MANY - FEW))
    return found


def verdict(name: str, now: int, before: int) -> str:
    """A line about a path; `SLOWER` is a failure."""
    change = now / before - 1
    line = f"{name}: {now:,} instructions a message, {before:,} expected ({change:+.1%})"
    if abs(change) <= TOLERANCE:
        return f"ok     {line}"
    if change < 0:
        return f"FASTER {line}; so that it stays: python benches/instructions.py --renew"
    return f"SLOWER {line}; if that is meant: python benches/instructions.py --renew"


def main() -> int:
    """Count, and say whether it is as expected."""
    parser = argparse.ArgumentParser(description="Instructions of a message, beside what is expected.")
    parser.add_argument("--renew", action="store_true", help="expect from now on what is found")
    chosen = parser.parse_args()
    if shutil.which(VALGRIND[0]) is None:
        raise SystemExit("this needs valgrind: apt-get install valgrind")
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    machine = f"{platform.system()} {platform.machine()}, Python {PYTHON}"
    if not chosen.renew and machine not in expected:
        print(f"skipped: there are no expectations for {machine}; --renew makes them")
        return 0
    found = measured()
    if chosen.renew:
        EXPECTED.write_text(json.dumps({**expected, machine: found}, indent=1) + "\n")
    lines = [verdict(name, found[name], (expected[machine] if not chosen.renew else found)[name]) for name in PATHS]
    print("\n".join(lines))
    return 1 if any(line.startswith("SLOWER") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
