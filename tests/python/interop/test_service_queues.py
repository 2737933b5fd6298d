"""Feedback and notifications of files as Microsoft's AMQP clients get them from the local hub: they get everything, and
what they give back comes again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from ferrohub.service.sastoken import SasToken
from support import official_python, run

pytestmark = pytest.mark.timeout(120)
PEER = Path(__file__).parent / "service_queue_peer.py"
PEERS = ["uamqp tcp", "uamqp websocket", "pyamqp tcp", "pyamqp websocket"]
MESSAGES = 3


def read(hub: LocalHub, peer: str, queue: str) -> list[dict[str, Any]]:
    """What the peer says of a queue."""
    key = hub.policy_connection_string("service").partition("SharedAccessKey=")[2]
    token = SasToken("localhost", key, "service")
    where = ["localhost", hub.port, hub.ca_file, f"/messages/serviceBound/{queue}", token]
    ran = run(official_python(), PEER, *peer.split(), *map(str, where), timeout=60)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def check(told: list[dict[str, Any]], sort: str) -> None:
    """The first message was given back, and came again, counted."""
    assert [message["did"] for message in told] == ["released", *["accepted"] * (len(told) - 1)]
    assert {message["content_type"] for message in told} == {f"application/vnd.microsoft.iothub.{sort}.json"}
    assert {message["user_id"] for message in told} == {"localhost"}
    bodies = [message["body"] for message in told]
    again = bodies.index(bodies[0], 1)
    assert [message["delivery_count"] for message in told] == [int(place == again) for place in range(len(told))]


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_reads_feedback(peer: str) -> None:
    with LocalHub(limits={"feedback_seconds": 0}) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas("d", "", "", "enabled")
        for number in range(MESSAGES):
            registry.send_c2d_message("d", "hello", {"messageId": f"m-{number}", "iothub-ack": "full"})
            registry.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("d")
        told = read(hub, peer, "feedback")
        records = [record for message in told for record in message["body"]]
        check(told, "feedback")
        assert {record["originalMessageId"] for record in records} == {f"m-{number}" for number in range(MESSAGES)}
        assert {record["statusCode"] for record in records} == {"Purged"}
        assert read(hub, peer, "feedback") == []


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_reads_notifications_of_files(peer: str) -> None:
    with LocalHub() as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas("d", "", "", "enabled")
        with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as device:
            for number in range(MESSAGES):
                place = device.get_storage_info_for_blob(f"{number}.txt")
                hub.put_blob(place["blobName"], b"12345")
                device.notify_blob_upload_status(place["correlationId"], True, 200, "done")
        told = read(hub, peer, "filenotifications")
        names = [message["body"]["blobName"] for message in told]
        check(told, "filenotification")
        assert set(names) == {f"d/{number}.txt" for number in range(MESSAGES)}
        assert {message["body"]["blobSizeInBytes"] for message in told} == {5}
        assert told[0]["body"]["blobUri"] == f"https://localhost:{hub.port}/uploads/{names[0]}"


@pytest.mark.parametrize("package", ["ours", "official"])
def test_a_package_settles_feedback_over_rest(package: str) -> None:
    python = official_python() if package == "official" else Path(sys.executable)
    program = Path(__file__).parent / "feedback_program.py"
    with LocalHub(limits={"feedback_seconds": 0}) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas("d", "", "", "enabled")
        registry.send_c2d_message("d", "hello", {"messageId": "m-1", "iothub-ack": "full"})
        registry.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("d")
        for _ in registry.feedback(timeout=20):
            break  # It has come; read it is not.
        ran = run(python, program, hub.connection_string, env={"REQUESTS_CA_BUNDLE": hub.ca_file}, timeout=60)
    assert ran.code == 0, ran.err
    batch = [200, "application/vnd.microsoft.iothub.feedback.json", ["m-1"]]
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert told == [batch, batch, [204, None, []], ["HttpOperationError", 412]]
