"""`ferrohub feedback` and `ferrohub file-notifications`: what the hub has for back ends, in lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import PATIENCE, Outcome, run

FERROHUB = (sys.executable, "-m", "ferrohub")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub that the command asks, and that gives feedback at once."""
    with LocalHub(limits={"feedback_seconds": 0}) as hub:
        monkeypatch.setenv("IOTHUB_CONNECTION_STRING", hub.connection_string)
        yield hub


@pytest.fixture
def registry(hub: LocalHub) -> IoTHubRegistryManager:
    manager = IoTHubRegistryManager(hub.connection_string)
    manager.create_device_with_sas("d", "", "", "enabled")
    return manager


def leave_feedback(registry: IoTHubRegistryManager, name: str) -> None:
    registry.send_c2d_message("d", "hello", {"messageId": name, "iothub-ack": "full"})
    registry.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("d")


def ask(*arguments: str) -> Outcome:
    return run(*FERROHUB, *arguments)


@pytest.mark.parametrize("way", [[], ["--websocket"]])
def test_feedback_is_printed_once_line_by_line(registry: IoTHubRegistryManager, way: list[str]) -> None:
    for name in "123":
        leave_feedback(registry, name)
    first = ask("feedback", "--count", "2", *way)
    lines = [line.split("\t") for line in first.out.splitlines()]
    assert (first.code, first.err) == (0, "")
    assert [line[1:] for line in lines] == [["d", "1", "Purged"], ["d", "2", "Purged"]]
    last = ask("feedback", "--timeout", "1", "--json", *way)
    record = json.loads(last.out)
    assert (record["originalMessageId"], record["statusCode"]) == ("3", "Purged")
    assert ask("feedback", "--timeout", "1", *way) == Outcome(0, "", "")


def test_files_are_printed(hub: LocalHub, registry: IoTHubRegistryManager) -> None:
    del registry
    with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as device:
        place = device.get_storage_info_for_blob("log.txt")
        hub.put_blob(place["blobName"], b"12345")
        device.notify_blob_upload_status(place["correlationId"], True, 200, "done")
    printed = ask("file-notifications", "--count", "1")
    assert (printed.code, printed.out.split("\t")[1:]) == (0, ["d/log.txt", "5\n"])


def test_what_nobody_read_is_printed_the_next_time(registry: IoTHubRegistryManager) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen([*FERROHUB, "feedback"], stdout=writer, stderr=subprocess.PIPE, text=True) as command:
        os.close(writer)
        os.close(reader)
        leave_feedback(registry, "1")
        assert command.wait(PATIENCE) == 0
        assert command.stderr is not None
        assert command.stderr.read() == ""
    assert ask("feedback", "--count", "1").out.split("\t")[2] == "1"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_ctrl_c_ends_it(registry: IoTHubRegistryManager) -> None:
    with subprocess.Popen([*FERROHUB, "feedback"], stdout=subprocess.PIPE, text=True) as command:
        leave_feedback(registry, "1")
        assert command.stdout is not None
        assert command.stdout.readline()
        command.send_signal(signal.SIGINT)
        assert command.wait(PATIENCE) == 0


def test_a_refusal_is_told(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", hub.policy_connection_string("registryRead"))
    refused = ask("feedback")
    assert refused.code == 1
    assert refused.err.startswith("ferrohub: ")
    assert "Unauthorized" in refused.err
