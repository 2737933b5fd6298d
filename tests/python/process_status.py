"""What this process holds at the moment, for programs that measure themselves. Linux only."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import time
from pathlib import Path
from typing import Callable

STEADY = 1.5
"""Seconds: longer than idle threads of the core live."""
IDLE_THREADS_END = 15.0
"""Seconds after which threads that are kept for a while have surely ended."""


def resident_kilobytes() -> int:
    """The memory in use, without what only waits for the garbage collector."""
    gc.collect()
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1))


def threads() -> list[str]:
    """The names of all threads, those of the core too."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            names.append((task / "comm").read_text().strip())
    return sorted(names)


def descriptors() -> int:
    """How many files, sockets and pipes are open."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - the one it reads is open itself


def python_blocks() -> int:
    """How many blocks of memory Python's objects have."""
    gc.collect()
    return sys.getallocatedblocks()


def steady(value: Callable[[], object]) -> object:
    """The value when it does not change any more."""
    found, since = value(), time.monotonic()
    while time.monotonic() < since + STEADY:
        time.sleep(0.05)
        if (now := value()) != found:
            found, since = now, time.monotonic()
    return found


def settled(value: Callable[[], object], wanted: Callable[[object], bool]) -> object:
    """The value as soon as it is as wanted, at the latest when idle threads have ended."""
    deadline = time.monotonic() + IDLE_THREADS_END
    while not wanted(found := value()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
