"""What a program pays for its clients: memory, threads, descriptors; for a thousand at once and for one after another.

Programs of their own measure themselves, so that nothing of the tests' process counts.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Module
from ferrohub import LocalHub
from support import ROOT, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is measured with /proc")

CLIENTS = 1000
MODULES_OF_A_DEVICE = 20
TRAFFIC_SECONDS = 300
CONNECTS = 10_000
SENDS = 1_000_000
MOST_KILOBYTES_OF_A_CLIENT = 80
MOST_THREADS = 1 + 4
MOST_GROWTH_KILOBYTES = 2048
MOST_GROWTH_BLOCKS = 1000
"""Far fewer than one for each connect, in the tenth already."""
HANGING = 10
LONGEST = 3600.0
"""Seconds that a program may take, in the soak."""

sorts = pytest.mark.parametrize("sort", ["sync", "aio"])


@pytest.fixture
def own_hub() -> Iterator[LocalHub]:
    """In a process of its own: this one's memory is not its."""
    with LocalHub(process=True) as hub:
        yield hub


def measured(program: str, *arguments: str) -> Any:
    """What a program prints about itself."""
    ran = run(sys.executable, ROOT / "tests" / "python" / program, *arguments, timeout=LONGEST)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def make_modules(hub: LocalHub, count: int) -> list[str]:
    """So many modules; their connection strings."""
    registry = IoTHubRegistryManager(hub.connection_string)
    strings = []
    for number in range(count):
        device, module = f"d{number // MODULES_OF_A_DEVICE}", f"m{number % MODULES_OF_A_DEVICE}"
        if module == "m0":
            registry.create_device_with_sas(device, "", "", "enabled")
        created: Module = registry.create_module_with_sas(device, module, "", "", "")
        assert created.module_id == module
        strings.append(hub.module_connection_string(device, module))
    return strings


@sorts
def test_a_thousand_clients_stay_connected_on_four_threads_and_80_kilobytes_each(
    sort: str, own_hub: LocalHub, tmp_path: Path, scaled: Callable[[int], int]
) -> None:
    file = tmp_path / "strings"
    file.write_text("\n".join(make_modules(own_hub, CLIENTS)))
    seen = measured("crowd_run.py", sort, str(file), str(scaled(TRAFFIC_SECONDS)))
    print(f"{sort}: {seen['kilobytes']:.0f} KB a client, {seen['sent']} messages, threads {seen['threads']}")
    assert (seen["connected"], seen["reconnects"]) == (CLIENTS, 0)
    assert seen["acknowledged"] == seen["sent"]
    assert len(seen["threads"]) <= MOST_THREADS, seen["threads"]
    assert seen["kilobytes"] <= MOST_KILOBYTES_OF_A_CLIENT


@sorts
def test_nothing_stays_behind_of_ten_thousand_connects_and_a_million_messages(
    sort: str, own_hub: LocalHub, scaled: Callable[[int], int]
) -> None:
    IoTHubRegistryManager(own_hub.connection_string).create_device_with_sas("d", "", "", "enabled")
    string = own_hub.device_connection_string("d")
    first, last = measured("endurance_run.py", sort, string, str(scaled(CONNECTS)), str(scaled(SENDS)))
    growth, blocks = (last[what] - first[what] for what in ("kilobytes", "blocks"))
    print(f"{sort}: {growth} KB more, {blocks} blocks of Python's more; {last}")
    for what in ("threads", "descriptors", "tasks"):
        assert last[what] == first[what], what
    assert growth <= MOST_GROWTH_KILOBYTES
    assert blocks <= MOST_GROWTH_BLOCKS


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where connections are taken, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=HANGING) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def hanging(string: str, port: int) -> Iterator[None]:
    """While clients wait for a hub that does not answer them."""
    clients = [
        IoTHubDeviceClient.create_from_connection_string(f"{string};GatewayHostName=127.0.0.1:{port}")
        for _ in range(HANGING)
    ]
    with ThreadPoolExecutor(HANGING) as pool:
        waiting = [pool.submit(client.connect) for client in clients]
        yield
        assert not any(connect.done() for connect in waiting)
        for client in clients:
            client.shutdown()
        assert all(connect.exception(LONGEST) for connect in waiting)


def milliseconds(client: IoTHubDeviceClient) -> list[float]:
    """How long sends take, one after another."""
    times = [time.perf_counter()]
    for _ in range(200):
        client.send_message("x" * 100)
        times.append(time.perf_counter())
    return [1000 * (after - before) for before, after in zip(times, times[1:])]


def added_by_hanging_clients(client: IoTHubDeviceClient, string: str, port: int) -> float:
    """The 99th percentile with them, less that without: taken in turn, so that a busy machine hits both."""
    without, beside = [], []
    for _ in range(5):
        without += milliseconds(client)
        with hanging(string, port):
            beside += milliseconds(client)
    return statistics.quantiles(beside, n=100)[98] - statistics.quantiles(without, n=100)[98]


@pytest.mark.alone
def test_connects_that_hang_add_less_than_5_ms_to_another_clients_sends(own_hub: LocalHub, silent_port: int) -> None:
    IoTHubRegistryManager(own_hub.connection_string).create_device_with_sas("d", "", "", "enabled")
    string = own_hub.device_connection_string("d")
    with IoTHubDeviceClient.create_from_connection_string(string) as client:
        client.connect()
        # The least of three: only chance makes it more.
        added = min(added_by_hanging_clients(client, string, silent_port) for _ in range(3))
    print(f"{added:+.2f} ms")
    assert added < 5
