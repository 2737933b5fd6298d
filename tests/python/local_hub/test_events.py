"""What the built-in endpoint tells beside what devices send, where it is told to; and what it keeps through a crash.

It is read with the official client of Event Hubs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from ferrohub import LocalHub
from support import official_python

PROGRAM = Path(__file__).parent.parent / "event_hubs_program.py"
SOURCES = ["twinChangeEvents", "deviceLifecycleEvents", "deviceConnectionStateEvents"]
KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZw=="


def read(hub: LocalHub, count: int, **options: Any) -> list[dict[str, Any]]:
    """So many events, with the official client."""
    command = [str(official_python()), str(PROGRAM), hub.event_hubs_connection_string, hub.ca_file, "sync", "tcp"]
    call = json.dumps({"call": "read", "count": count, **options})
    ran = subprocess.run(command, input=call, capture_output=True, text=True, timeout=60, check=True)
    events = json.loads(ran.stdout)
    assert isinstance(events, list), events
    return events


def live(hub: LocalHub) -> None:
    """A device is made, connects, sends, has its twin changed by both sides, goes, and is removed."""
    registry = IoTHubRegistryManager(hub.connection_string)
    registry.create_device_with_sas("d", KEY, KEY, "enabled")
    device = IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d"))
    device.connect()
    device.send_message("hello")
    twin = Twin(tags={"floor": 1}, properties=TwinProperties(desired={"on": True, "deep": {"a": 1}}))
    registry.update_twin("d", twin, "*")
    device.patch_twin_reported_properties({"on": True})
    device.shutdown()
    while registry.get_device("d").connection_state == "Connected":
        pass  # the hub is still busy with it
    registry.delete_device("d")


@pytest.mark.timeout(120)
def test_only_telemetry_is_told_unless_more_is_asked_for() -> None:
    with LocalHub() as hub:
        live(hub)
        (event,) = read(hub, 1)
        assert event["body"] == "hello"
        assert [message.body for message in hub.telemetry()] == [b"hello"]


@pytest.mark.timeout(120)
def test_changes_of_twins_identities_and_connections_are_told_where_asked_for() -> None:
    with LocalHub(events=SOURCES) as hub:
        live(hub)
        told = read(hub, 7)
        assert [message.body for message in hub.telemetry()] == [b"hello"]
    seen = [(event["system"]["iothub-message-source"], event["properties"].get("opType")) for event in told]
    connections = [step for step in seen if step[0] == "deviceConnectionStateEvents"]
    assert [step for step in seen if step not in connections and step[0] != "Telemetry"] == [
        ("deviceLifecycleEvents", "createDeviceIdentity"),
        ("twinChangeEvents", "updateTwin"),
        ("twinChangeEvents", "updateTwin"),
        ("deviceLifecycleEvents", "deleteDeviceIdentity"),
    ]
    assert connections == [
        ("deviceConnectionStateEvents", "deviceConnected"),
        ("deviceConnectionStateEvents", "deviceDisconnected"),
    ]
    changes = [event for event in told if event["system"]["iothub-message-source"] in SOURCES[:2]]
    created, by_service, by_device, _ = changes
    assert created["properties"].keys() == {
        "hubName",
        "deviceId",
        "operationTimestamp",
        "opType",
        "iothub-message-schema",
    }
    assert created["properties"]["iothub-message-schema"] == "deviceLifecycleNotification"
    assert created["system"]["content-type"] == "application/json"
    assert json.loads(created["body"])["deviceId"] == "d"
    change = json.loads(by_service["body"])
    assert (change["tags"], change["version"]) == ({"floor": 1}, 3)
    desired = change["properties"]["desired"]
    assert (desired["on"], desired["deep"], desired["$version"]) == (True, {"a": 1}, 2)
    assert desired["$metadata"].keys() == {"$lastUpdated", "$lastUpdatedVersion", "on", "deep"}
    assert "desired" not in json.loads(by_device["body"])["properties"]
    numbers = [
        json.loads(event["body"])["sequenceNumber"]
        for event in told
        if event["system"]["iothub-message-source"] == SOURCES[2]
    ]
    assert numbers == sorted(numbers)
    assert {len(number) for number in numbers} == {64}


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform == "win32", reason="a hub's process can't be killed there")
def test_what_was_acknowledged_is_read_after_a_crash_and_numbers_go_on(tmp_path: Path) -> None:
    with LocalHub(process=True, data=tmp_path / "hub.data", partitions=2) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas("d", KEY, KEY, "enabled")
        before: list[dict[str, Any]] = []
        for run in range(2):
            with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as device:
                for index in range(10):
                    device.send_message(f"{run} {index}")
            events = read(hub, 10 * (run + 1))
            assert events[: len(before)] == before
            before = events
            hub.kill()
            hub.restart()
        assert read(hub, 20) == before
        assert [event["sequence"] for event in before] == list(range(20))
        hub.stop()
        other = LocalHub(process=True, data=tmp_path / "hub.data", partitions=3)
        with pytest.raises(OSError, match="has events in 2 partitions, and the hub is to have 3"):
            other.start()


def test_a_source_or_number_of_partitions_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="'twins' is no source of events: twinChangeEvents, deviceLifecycleEvents"):
        LocalHub(events=["twins"]).start()
    with pytest.raises(ValueError, match="a hub has 1 to 32 partitions, not 0"):
        LocalHub(partitions=0).start()
