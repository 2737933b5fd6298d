"""`ferrohub monitor`: what devices send, as lines."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, Program, run

MONITOR = (sys.executable, "-m", "ferrohub", "monitor")
PATIENCE = 20
QUIET = "0.5"
SOURCE = ("--source", "Telemetry")


@pytest.fixture
def filled(hub: LocalHub, module_connection_string: str) -> LocalHub:
    """A hub with two messages of a device, one of another, and one of a module."""
    IoTHubRegistryManager(hub.connection_string).create_device_with_sas("other", "", "", "enabled")
    sent: list[tuple[str, list[str | bytes]]] = [(DEVICE, ["first\nline", b"\xff\x00"]), ("other", ["x"])]
    for device, bodies in sent:
        with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(device)) as client:
            client.send_messages(bodies)
    message = Message('{"t": 21}', content_type="application/json", content_encoding="utf-8", message_id="m")
    message.custom_properties["room"] = "größer"
    with IoTHubModuleClient.create_from_connection_string(module_connection_string) as module:
        module.send_message(message)
    return hub


def lines(hub: str, *arguments: str, since: str = "earliest") -> list[str]:
    outcome = run(*MONITOR, "--hub", hub, "--since", since, "--timeout", QUIET, *SOURCE, *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.splitlines()


def objects(hub: str, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(hub, "--json", *arguments)]


@pytest.mark.parametrize("way", [(), ("--websocket",)], ids=["TCP", "WebSocket"])
def test_each_event_is_a_line(filled: LocalHub, way: tuple[str, ...]) -> None:
    of_device = lines(filled.connection_string, "--device", DEVICE, *way)
    assert len(of_device) == 3
    # Control characters don't reach the terminal.
    assert of_device[0].endswith(f"Z {DEVICE} first line")
    assert of_device[1].endswith(f" {DEVICE} (2 bytes: /wA=)")
    assert of_device[2].endswith(f' {DEVICE}/{MODULE} {{"room":"größer"}} {{"t": 21}}')


def test_as_json_it_holds_everything(filled: LocalHub) -> None:
    text, binary, of_module = objects(filled.event_hubs_connection_string, "--device", DEVICE)
    assert text["body"] == "first\nline"
    assert (binary["bodyBase64"], "body" in binary) == ("/wA=", False)
    assert (of_module["deviceId"], of_module["moduleId"], of_module["source"]) == (DEVICE, MODULE, "Telemetry")
    assert (of_module["body"], of_module["properties"]) == ({"t": 21}, {"room": "größer"})
    assert of_module["systemProperties"]["message_id"] == "m"
    assert of_module["systemProperties"]["iothub-connection-device-id"] == DEVICE
    assert of_module["sequenceNumber"] == text["sequenceNumber"] + 2
    assert of_module["enqueuedTime"] == of_module["systemProperties"]["x-opt-enqueued-time"]


def test_events_are_selected(filled: LocalHub) -> None:
    hub = filled.connection_string
    assert len(lines(hub)) == 4
    assert len(lines(hub, "--module", MODULE)) == 1
    assert len(lines(hub, "--device", DEVICE, "--device", "other")) == 4
    assert len(lines(hub, since="1h")) == 4
    assert lines(hub, since="2999-01-01T00:00:00Z") == []
    assert len(lines(hub, "--count", "2")) == 2
    partitions = {event["partition"] for event in objects(hub)}
    by_partition = [lines(hub, "--partition", partition) for partition in partitions]
    assert sum(map(len, by_partition)) == 4


def test_what_comes_is_printed_until_ctrl_c(hub: LocalHub) -> None:
    IoTHubRegistryManager(hub.connection_string).create_device_with_sas(DEVICE, "", "", "enabled")
    with Program(*MONITOR, "--hub", hub.connection_string, "--since", "1h", *SOURCE) as monitor:
        with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(DEVICE)) as client:
            client.send_message("live")
        assert monitor.next_line().endswith(" live")
        monitor.interrupt()
        outcome = monitor.finish()
    assert (outcome.code, outcome.err) == (0, "")


def test_a_reader_that_has_gone_ends_it_quietly(filled: LocalHub) -> None:
    command = [*MONITOR, "--hub", filled.connection_string, "--since", "earliest"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as monitor:
        assert monitor.stdout is not None
        assert monitor.stderr is not None
        monitor.stdout.readline()
        monitor.stdout.close()
        with IoTHubDeviceClient.create_from_connection_string(filled.device_connection_string("other")) as client:
            client.send_message("nobody reads this")
        assert monitor.stderr.read() == b""
        assert monitor.wait(PATIENCE) == 0


def test_what_is_wrong_is_told(hub: LocalHub) -> None:
    refused = run(*MONITOR, "--hub", hub.connection_string, "--consumer-group", "nobody")
    assert (refused.code, refused.out) == (1, "")
    assert "There is no consumer group 'nobody'" in refused.err
    refused = run(*MONITOR, "--hub", hub.policy_connection_string("registryRead"))
    assert refused.code == 1
    refused = run(*MONITOR, "--hub", hub.connection_string, "--since", "yesterday")
    assert refused.code == 2
    assert "how long ago" in refused.err
