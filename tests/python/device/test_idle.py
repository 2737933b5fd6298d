"""What ten thousand clients that do nothing cost: in their program, and in the hub."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice
from ferrohub import LocalHub
from support import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is measured with /proc")

CLIENTS = 10_000
SECONDS = 600
MOST_OF_A_CORE = 0.02
MOST_KILOBYTES = 60
"""Of a client, in its program and in the hub."""
SPARE_FILES = 200


@pytest.fixture
def open_files(scaled: Callable[[int], int]) -> Iterator[None]:
    """As many as the clients need, for the processes that are started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = scaled(CLIENTS) + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"a process may open {hard} files here; {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def cpu_seconds(pid: int) -> float:
    """Of a process until now."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def kilobytes(pid: int) -> float:
    """Resident."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def make_devices(hub: LocalHub, count: int) -> list[str]:
    """So many; their connection strings."""
    names = [f"d{number}" for number in range(count)]
    with IoTHubRegistryManager.from_connection_string(hub.connection_string) as registry:
        made = registry.bulk(ExportImportDevice(id=name, import_mode="create", status="enabled") for name in names)
        assert all(result.succeeded for result in made)
    return [hub.device_connection_string(name) for name in names]


@pytest.mark.usefixtures("open_files")
def test_ten_thousand_idle_clients_stay_connected_at_two_percent_of_a_core_and_60_kilobytes_each(
    tmp_path: Path, scaled: Callable[[int], int]
) -> None:
    count, seconds = scaled(CLIENTS), scaled(SECONDS)
    with LocalHub(process=True) as hub:
        file = tmp_path / "strings"
        file.write_text("\n".join(make_devices(hub, count)))
        before = kilobytes(hub.pid)
        command = [sys.executable, str(ROOT / "tests" / "python" / "idle_run.py"), str(file)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout
            assert program.stdout.readline() == "ready\n"
            of_hub = (kilobytes(hub.pid) - before) / count
            began, cpu = time.monotonic(), cpu_seconds(hub.pid)
            threading.Event().wait(seconds)
            took, cpu = time.monotonic() - began, cpu_seconds(hub.pid) - cpu
            connects = hub.statistics()["connects"]
            seen = json.loads(program.communicate()[0])
    print(
        f"{seen['kilobytes']:.0f} KB a client and {of_hub:.0f} KB in the hub; "
        f"{seen['cpu'] / took:.2%} of a core and {cpu / took:.2%} in the hub"
    )
    assert (seen["connected"], seen["reconnects"], connects) == (count, 0, count)
    assert max(seen["kilobytes"], of_hub) <= MOST_KILOBYTES
    assert max(seen["cpu"], cpu) / took <= MOST_OF_A_CORE
