"""What a measured program says of itself: the programs in the folders beside this one, under either package.

    with measured(calls):
        ...  # the calls

Used with the Python of both environments, so it needs nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

CONNECTION_STRING = os.environ.get("BENCH_CONNECTION_STRING", "")
ON_STANDARD_PORTS = re.sub(r":\d+;", ";", CONNECTION_STRING, count=1)
"""The same hub for AMQP, where azure-iot-hub knows the standard ports only."""
CALLS = int(os.environ.get("BENCH_CALLS", "1"))
DEVICES = int(os.environ.get("BENCH_DEVICES", "0"))


def device_id(number: int) -> str:
    """The name of one of the hub's devices; numbers beyond the last begin anew."""
    return f"device-{number % DEVICES:06}"


def interval(number: int) -> int:
    """What stands in that device's twin, at `properties.desired["interval"]`."""
    return number % DEVICES % 60


@contextmanager
def measured(calls: int = CALLS) -> Iterator[None]:
    """Print time, CPU time of this process and memory added for so many calls, as a line of JSON."""
    memory, cpu, began = _memory(), _cpu(), time.perf_counter()
    yield
    seconds, used, added = time.perf_counter() - began, _cpu() - cpu, _memory() - memory
    tell(calls, seconds, used, added)


def tell(calls: int, seconds: float, cpu: float, memory: int) -> None:
    """Print what was measured, in seconds and bytes."""
    print(json.dumps({"calls": calls, "seconds": seconds, "cpu": cpu, "memory": memory}), flush=True)


def since_start() -> None:
    """Print what this process has taken from its start until now."""
    tell(1, time.monotonic() - float(os.environ["BENCH_STARTED"]), _cpu(), _memory())


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory() -> int:
    """Resident bytes; 0 where the system doesn't say."""
    if not sys.platform.startswith("linux"):
        return 0
    with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123 - pathlib would be imported for this
        return int(pages.read().split()[1]) * resource.getpagesize()
