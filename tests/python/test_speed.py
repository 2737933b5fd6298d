"""How fast it starts, beside the official packages in the same run; `-s` or a failure shows the figures."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, PATIENCE, Program, official_python, run

pytestmark = pytest.mark.alone

ROUNDS = 11
FIRST_TWIN = """
import sys
from azure.iot.hub import IoTHubRegistryManager
twin = IoTHubRegistryManager.from_connection_string(sys.argv[1]).get_module_twin(sys.argv[2], sys.argv[3])
assert twin.properties.desired["$version"] == 1
print("answered", flush=True)
"""


def seconds(*command: str | Path, env: dict[str, str] | None = None) -> float:
    """From process start to its end."""
    started = time.perf_counter()
    ran = run(*command, env=env)
    elapsed = time.perf_counter() - started
    assert ran.code == 0, ran.err
    return elapsed


def medians(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each, taken in turn so that a busy moment of the machine hits all of them."""
    for measure in measures.values():
        measure()  # fills the caches: bytecode, files
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: statistics.median(values) for name, values in taken.items()}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("module", ["azure.iot.device", "azure.iot.hub"])
def test_import_takes_at_most_a_fifth(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    official = official_python()
    median = medians(
        {
            "nothing, ours": lambda: seconds(sys.executable, "-c", "pass"),
            "ours": lambda: seconds(sys.executable, "-c", f"import {module}"),
            "nothing, official": lambda: seconds(official, "-c", "pass"),
            "official": lambda: seconds(official, "-c", f"import {module}"),
        },
        ROUNDS,
    )
    ours = median["ours"] - median["nothing, ours"]
    theirs = median["official"] - median["nothing, official"]
    with capsys.disabled():
        print(f"\nimport {module}: {ours * 1000:.1f} ms, official {theirs * 1000:.1f} ms, {theirs / ours:.1f} times")
    assert ours <= theirs / 5


@pytest.mark.parametrize(
    "module", ["azure.iot.device", "azure.iot.device.exceptions", "azure.iot.hub", "azure.iot.hub.models"]
)
def test_import_brings_in_nothing_heavy(module: str) -> None:
    heavy = {"asyncio", "ssl", "requests", "msrest", "azure.core"}
    ran = run(sys.executable, "-c", f"import {module}, sys; print(sorted({heavy!r} & set(sys.modules)))")
    assert (ran.out, ran.err) == ("[]\n", "")


def seconds_to_answer(python: Path | str, hub: LocalHub) -> float:
    """From process start to the first answered get_module_twin."""
    trust = {"SSL_CERT_FILE": hub.ca_file, "REQUESTS_CA_BUNDLE": hub.ca_file} if python != sys.executable else {}
    started = time.perf_counter()
    with subprocess.Popen(
        [python, "-c", FIRST_TWIN, hub.connection_string, DEVICE, MODULE],
        stdout=subprocess.PIPE,
        env={**os.environ, **trust},
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        elapsed = time.perf_counter() - started
        assert process.wait(PATIENCE) == 0
    assert line == b"answered\n"
    return elapsed


@pytest.mark.timeout(120)
def test_first_answered_twin_takes_at_most_half(capsys: pytest.CaptureFixture[str]) -> None:
    official = official_python()
    with LocalHub(process=True) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        median = medians(
            {
                "ours": lambda: seconds_to_answer(sys.executable, hub),
                "official": lambda: seconds_to_answer(official, hub),
            },
            ROUNDS,
        )
    with capsys.disabled():
        print(f"\nfirst get_module_twin: {median['ours'] * 1000:.0f} ms, official {median['official'] * 1000:.0f} ms")
    assert median["ours"] <= median["official"] / 2


def test_the_command_is_ready_within_200_ms_and_idles_below_25_mb(capsys: pytest.CaptureFixture[str]) -> None:
    times = []
    for _ in range(5):
        command = Path(sys.executable).with_name("ferrohub")
        started = time.perf_counter()
        with Program(command, "up", "--port", "0") as server:
            server.wait_for("SharedAccessKey=")
            times.append(time.perf_counter() - started)
            status = Path(f"/proc/{server.process.pid}/status")
            resident = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
            server.interrupt()
            assert server.finish().err == ""
    megabytes = int(resident.group(1)) / 1024 if resident else 0
    with capsys.disabled():
        print(f"\nferrohub up: ready after {statistics.median(times) * 1000:.0f} ms, idle at {megabytes:.1f} MB")
    assert statistics.median(times) < 0.2
    assert megabytes < 25
