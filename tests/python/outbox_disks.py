"""Scenes of an outbox on a disk of its own, which is mounted here: `full` and `read-only`.

Run inside `unshare -rnm` with a scene and a folder; prints `held` if every promise was kept.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub, Outbox, OutboxError

SECONDS = 30.0


def mount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], check=True)


def send(client: IoTHubDeviceClient, number: int, size: int = 4096) -> Exception | None:
    """Send a message of this size that says a number; its outcome."""
    (outcome,) = client.send_messages([f"{number:0{size}}"])
    return outcome


def fill(client: IoTHubDeviceClient, first: int, size: int) -> int:
    """Send numbers until none was accepted for two seconds; the first that was not."""
    number, last = first, time.monotonic()
    while time.monotonic() < last + 2:
        outcome = send(client, number, size)
        if outcome is None:
            number, last = number + 1, time.monotonic()
        else:
            assert isinstance(outcome, OutboxError), outcome
            assert "can't be written" in str(outcome), outcome
            assert "No space left on device" in str(outcome), outcome
    return number


def full(hub: LocalHub, connection_string: str, folder: Path) -> None:
    mount(folder, "size=2m")
    path = folder / "outbox"
    with hub.faults.refuse_connects(), make(connection_string, path) as client:
        accepted = fill(client, 0, 4096)
        assert accepted > 100
        for size in (1000, 100, 10):  # to the last page
            accepted = fill(client, accepted, size)
        assert client.statistics["stored"] == accepted
    # The next client can open the file on the full disk, send everything, and accept more.
    with make(connection_string, path) as client:
        client.flush(timeout=SECONDS)
        while send(client, 999_999) is not None:
            pass
        client.flush(timeout=SECONDS)
    with make(connection_string, path) as client:
        assert client.statistics["stored"] == 0
    arrived = list(dict.fromkeys(int(message.body) for message in hub.telemetry()))
    assert arrived == [*range(accepted), 999_999]


def read_only(hub: LocalHub, connection_string: str, folder: Path) -> None:
    mount(folder, "size=8m")
    path = folder / "outbox"
    with hub.faults.refuse_connects(), make(connection_string, path) as client:
        assert send(client, 0) is None
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    with pytest.raises(OutboxError, match="check that its folder exists and that you may read and write it"):
        make(connection_string, path)
    subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    with make(connection_string, path) as client:
        client.flush(timeout=SECONDS)
    assert [int(message.body) for message in hub.telemetry()] == [0]


def make(connection_string: str, path: Path) -> IoTHubDeviceClient:
    return IoTHubDeviceClient.create_from_connection_string(
        connection_string, outbox=Outbox(path), connection_retry_interval=1
    )


if __name__ == "__main__":
    # What fails in the background is raised at the calls too.
    logging.disable()
    scene = {"full": full, "read-only": read_only}[sys.argv[1]]
    with LocalHub() as hub:
        IoTHubRegistryManager(hub.connection_string).create_device_with_sas("d", "", "", "enabled")
        scene(hub, hub.device_connection_string("d"), Path(sys.argv[2]))
    print("held")
