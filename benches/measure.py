"""What a measured program says of itself: the programs in the folders beside this one, under every package.

    with measured(calls):
        ...  # the calls

Used with the Pythons of all environments, so it needs nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

CONNECTION_STRING = os.environ.get("BENCH_CONNECTION_STRING", "")
"""The service's."""
ON_STANDARD_PORTS = re.sub(r":\d+;", ";", CONNECTION_STRING, count=1)
"""The same hub for AMQP, where azure-iot-hub knows the standard ports only."""
DEVICE = os.environ.get("BENCH_DEVICE", "")
"""That of the first device, at the broker of this row."""
EVENT_HUBS = re.sub(r":\d+/;", "/;", os.environ.get("BENCH_EVENT_HUBS", ""), count=1)
"""The connection string of the hub's events, where azure-eventhub knows the standard ports only."""
SENDERS = 8
"""Devices whose events are read, so that all partitions have some."""
HOST = os.environ.get("BENCH_HOST", "")
PORT = 8883
CA_FILE = os.environ.get("BENCH_CA_FILE", "")
CALLS = int(os.environ.get("BENCH_CALLS", "1"))
AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "64"))
"""How many calls or messages have no answer yet."""
WINDOW = int(os.environ.get("BENCH_WINDOW", "0"))
"""How many unacknowledged messages our client may have; 0: as many as usual."""
DEVICES = int(os.environ.get("BENCH_DEVICES", "0"))
PATCHED = 100
"""Devices whose twins are changed."""
WARM_UP = 256
"""Messages that are sent before the measured ones: all of the path has been walked, and a window was full."""
PAYLOAD = b"x" * 256
TOPIC = "devices/device-000000/messages/events/"
"""Of clients that know no IoT Hub: as long as that of the others."""


def device_id(number: int) -> str:
    """The name of one of the hub's devices; numbers beyond the last begin anew."""
    return f"device-{number % DEVICES:06}"


def device(name: str) -> str:
    """The connection string of one of the hub's devices: all have the same key."""
    return re.sub("DeviceId=[^;]*", f"DeviceId={name}", DEVICE)


def interval(number: int) -> int:
    """What stands in that device's twin, at `properties.desired["interval"]`."""
    return number % DEVICES % 60


def trusted() -> str:
    """The text of the broker's CA certificate."""
    with open(CA_FILE, encoding="ascii") as file:  # noqa: PTH123 - pathlib would be imported for this
        return file.read()


@contextmanager
def measured(calls: int = CALLS, sent: int = 0) -> Iterator[None]:
    """Print time, CPU time of this process and memory added for so many calls, as a line of JSON.

    `sent`: how many messages the broker must have got from this process and its driver, also before the measured ones.
    """
    memory, cpu, began = _memory(), _cpu(), time.perf_counter()
    yield
    seconds, used, added = time.perf_counter() - began, _cpu() - cpu, _memory() - memory
    tell(calls=calls, seconds=seconds, cpu=used, memory=added, sent=sent)


def tell(**values: float) -> None:
    """Print what was measured, in seconds and bytes."""
    print(json.dumps(values), flush=True)


def ready() -> None:
    """Say that another program may begin to do what this one waits for."""
    print("ready", flush=True)


def since_start() -> None:
    """Print what this process has taken from its start until now."""
    tell(calls=1, seconds=time.monotonic() - float(os.environ["BENCH_STARTED"]), cpu=_cpu(), memory=_memory())


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many of them lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory() -> int:
    """Resident bytes; 0 where the system doesn't say."""
    if not sys.platform.startswith("linux"):
        return 0
    with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123 - pathlib would be imported for this
        return int(pages.read().split()[1]) * resource.getpagesize()
