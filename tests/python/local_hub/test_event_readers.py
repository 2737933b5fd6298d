"""Readers of events that crash, and one that stops reading, while many devices send."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import official_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured with /proc")

PROGRAMS = Path(__file__).parent.parent
OFFICIAL, OURS = "event_hubs_consumer.py", "events_consumer.py"
DEVICES, KILLS, MESSAGES = 20, 3, 200_000
BATCH = 100
KEPT_MEGABYTES = 128
"""What a hub keeps unless it is told otherwise."""
BODY_BYTES = 256
WARM_UP = 2000
KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZw=="


class Consumer:
    """A client in a program of its own, which goes on where the last one was killed."""

    def __init__(self, hub: LocalHub, positions: dict[str, int], program: str = OFFICIAL) -> None:
        python = official_python() if program == OFFICIAL else sys.executable
        arguments = [hub.event_hubs_connection_string, str(hub.ca_file), json.dumps(positions)]
        command = [str(python), str(PROGRAMS / program), *arguments]
        self._program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def events(self) -> Any:
        """Partition, sequence number, device and body of each, as they come."""
        assert self._program.stdout
        for line in self._program.stdout:
            # The last line of one that was killed may be half of one.
            if line.endswith("\n"):
                partition, sequence, device, body = line.split()
                yield partition, int(sequence), device, int(body)

    def stop(self) -> None:
        """Have it read nothing more, and not end."""
        self._program.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it as a crash does."""
        self._program.kill()
        with self._program:
            pass


def resident_megabytes(hub: LocalHub) -> float:
    """The memory that the hub's process has in use."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{hub.pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def send_all(hub: LocalHub, each: int) -> None:
    """Have every device send its messages, all devices at once."""

    def send(number: int) -> None:
        text = hub.device_connection_string(f"d{number}")
        with IoTHubDeviceClient.create_from_connection_string(text) as device:
            for first in range(0, each, BATCH):
                device.send_messages([f"{index:<{BODY_BYTES}}" for index in range(first, min(first + BATCH, each))])

    threads = [threading.Thread(target=send, args=[number]) for number in range(DEVICES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def make_devices(hub: LocalHub) -> None:
    """With keys, and nothing sent yet."""
    registry = IoTHubRegistryManager(hub.connection_string)
    for number in range(DEVICES):
        registry.create_device_with_sas(f"d{number}", KEY, KEY, "enabled")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("program", [OFFICIAL, OURS])
def test_a_reader_that_is_killed_reads_every_message_in_the_order_of_its_device(
    scaled: Callable[[int], int], program: str
) -> None:
    each = scaled(MESSAGES) // DEVICES
    read: dict[str, list[int]] = {f"d{number}": [] for number in range(DEVICES)}
    positions: dict[str, int] = {}
    with LocalHub(process=True) as hub:
        make_devices(hub)
        stopped = Consumer(hub, {}, program)
        assert resident_megabytes(hub) < KEPT_MEGABYTES
        sending = threading.Thread(target=send_all, args=[hub, each])
        sending.start()
        next(stopped.events())
        stopped.stop()
        total, count = each * DEVICES, 0
        for run in range(KILLS + 1):
            consumer = Consumer(hub, positions, program)
            goal = total if run == KILLS else total * (run + 1) // (KILLS + 1)
            for partition, sequence, device, body in consumer.events():
                assert sequence == positions.get(partition, -1) + 1
                positions[partition] = sequence
                read[device].append(body)
                count += 1
                if count == goal:
                    break
            consumer.kill()
        sending.join()
        memory = resident_megabytes(hub)
        stopped.kill()
    for bodies in read.values():
        assert bodies == list(range(each))
    assert memory < 2 * KEPT_MEGABYTES


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", [OFFICIAL, OURS])
def test_a_reader_that_stops_costs_no_more_than_what_the_hub_keeps(scaled: Callable[[int], int], program: str) -> None:
    with LocalHub(process=True, limits={"event_megabytes": 4}) as hub:
        make_devices(hub)
        send_all(hub, WARM_UP)
        before = resident_megabytes(hub)
        consumer = Consumer(hub, {}, program)
        next(consumer.events())
        consumer.stop()
        send_all(hub, scaled(MESSAGES) // DEVICES)
        assert resident_megabytes(hub) - before < 16
        consumer.kill()
