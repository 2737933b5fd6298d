"""Where the CPU time of a message goes on the three hottest paths, in microseconds: `make profile`; needs `perf`.

perf samples what runs outside the kernel; user and system time are those that the process was charged for. Names of
functions need a build that keeps them: `CARGO_PROFILE_RELEASE_STRIP=none make dev engine`.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from rows import ENGINE, OURS, Broker, Side, python
from stage import Stage, in_own_network

PERF = ("perf", "record", "--event", "cpu-clock", "--freq", "4000")
NATIVE = "_native.abi3.so"
KINDS = [
    ("TLS", r"rustls|ring|aes|gcm|ghash|chacha|poly1305|webpki"),
    ("binding", r"pyo3|ferrohub::python|_native::"),
    ("runtime and locks", r"tokio|mio|futex|std::sync|std::time|parking|park|epoll"),
    ("hub", r"ferrohub::hub"),
    ("session and MQTT", r""),
]
"""Of functions of our module, by their names; the first that fits."""
LIBRARIES = [("Python", r"python|_asyncio|select\.cpython"), ("libc", r"libc|ld-linux|vdso|libm\.")]


def kind(library: str, function: str) -> str:
    """What a function is for."""
    kinds, name = (KINDS, function) if library == NATIVE else (LIBRARIES, library)
    return next((kind for kind, pattern in kinds if re.search(pattern, name)), "other")


def parts(record: Path) -> dict[str, float]:
    """What share of the samples each kind has; they add up to one."""
    report = [
        "perf",
        "report",
        "--input",
        str(record),
        "--no-children",
        "--sort",
        "dso,symbol",
        "--field-separator",
        "|",
    ]
    said = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = defaultdict(float)
    for line in said.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 3 and fields[0].endswith("%"):
            found[kind(fields[1], fields[2])] += float(fields[0].rstrip("%"))
    whole = sum(found.values())
    return {name: share / whole for name, share in found.items()}


def show(name: str, messages: int, user: float, system: float, shares: dict[str, float]) -> None:
    """Print the lines of a path."""
    print(f"{name}: {(user + system) / messages * 1e6:.1f} µs of CPU a message")
    lines = {**{part: share * user for part, share in shares.items()}, "kernel": system}
    for part, seconds in sorted(lines.items(), key=lambda line: -line[1]):
        print(f"    {seconds / messages * 1e6:6.2f} µs {seconds / (user + system):6.1%}  {part}")


def of_client(stage: Stage, name: str, program: str, calls: int, record: Path) -> None:
    """Profile a sending program."""
    command = (*PERF, "--output", str(record), "--", *python(OURS, program))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    measure = stage.measure(Side(command, calls), 1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    # perf itself and the start are in these; what the program measured isn't.
    scale = measure.cpu / (user + system)
    show(name, measure.calls, user * scale, system * scale, parts(record))


def times(pid: int) -> tuple[float, float]:
    """User and system seconds of a process until now."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    user, system = (int(tick) / os.sysconf("SC_CLK_TCK") for tick in ticks)
    return user, system


def of_hub(stage: Stage, calls: int, record: Path) -> None:
    """Profile the hub while our engine sends."""
    with subprocess.Popen([*PERF, "--output", str(record), "--pid", str(stage.hub_pid)]) as perf:
        before = times(stage.hub_pid)
        measure = stage.measure(Side((ENGINE, "publish"), calls, Broker.HUB, at_once=100), 1)
        after = times(stage.hub_pid)
        perf.terminate()
    user, system = (now - then for now, then in zip(after, before))
    show("hub, a message in", measure.sent, user, system, parts(record))


def main() -> int:
    """Profile them."""
    if shutil.which("perf") is None:
        raise SystemExit("this needs perf: apt-get install linux-perf")
    with tempfile.TemporaryDirectory() as folder, Stage() as stage:
        record = Path(folder) / "perf.data"
        of_client(stage, "await send_message, gather of 64", "device/gather.py", 100_000, record)
        of_client(stage, "send_message, one after another", "device/one_after_another.py", 20_000, record)
        of_hub(stage, 500_000, record)
    return 0


if __name__ == "__main__":
    sys.exit(in_own_network(main))
