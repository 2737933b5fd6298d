"""`manager.protocol`: the generated operations of the official package, for programs that reach below the managers."""

from __future__ import annotations

import importlib
from typing import Any, Callable

import pytest
from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.auth import ConnectionStringAuthentication
from azure.iot.hub.protocol import IotHubGatewayServiceAPIs
from recording_hub import JSON, Answer, RecordingHub

GROUPS = [
    "BulkRegistryOperations",
    "CloudToDeviceMessagesOperations",
    "ConfigurationOperations",
    "DevicesOperations",
    "DigitalTwinOperations",
    "JobsOperations",
    "ModulesOperations",
    "QueryOperations",
    "StatisticsOperations",
]


def test_its_modules_have_the_official_names() -> None:
    client = importlib.import_module("azure.iot.hub.protocol.iot_hub_gateway_service_ap_is")
    operations = importlib.import_module("azure.iot.hub.protocol.operations")
    assert [name for name in GROUPS if getattr(client, name) is not getattr(operations, name)] == []
    assert client.IotHubGatewayServiceAPIs is IotHubGatewayServiceAPIs
    assert importlib.import_module("azure.iot.hub.protocol.version").VERSION == "2021-04-12"


def test_it_knows_whom_it_asks_and_as_whom(recorder: RecordingHub) -> None:
    manager = IoTHubJobManager(recorder.connection_string())
    assert isinstance(manager.protocol, IotHubGatewayServiceAPIs)
    assert manager.protocol is manager.protocol
    assert manager.protocol.config.base_url == f"https://localhost:{recorder.port}"
    assert manager.protocol.config.credentials is manager.auth
    assert manager.protocol.api_version == "2021-04-12"


def test_a_raw_call_gives_the_response_and_its_headers_too(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    recorder.answers = Answer(body=b'[{"deviceId": "d"}]', headers=(*JSON, ("x-ms-continuation", "more")))
    raw = manager.protocol.query.get_twins({"query": "q"}, None, "5", None, True)
    assert [twin.device_id for twin in raw.output] == ["d"]
    assert (raw.response.status_code, raw.headers["X-MS-Continuation"]) == (200, "more")
    assert recorder.requests[0].headers["X-Ms-Max-Item-Count"] == "5"


def test_etags_and_headers_are_sent_as_they_are(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    recorder.answers = Answer(204, "No Content", b"")
    manager.protocol.devices.delete_identity("d", if_match="raw", custom_headers={"Accept": "text/plain", "X-A": "1"})
    sent = {name.lower(): value for name, value in recorder.requests[0].headers.items()}
    assert (sent["if-match"], sent["accept"], sent["x-a"]) == ("raw", "text/plain", "1")


def test_a_queue_of_messages_can_be_purged(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    recorder.answers = Answer(body=b'{"totalMessagesPurged": 3, "deviceId": "d"}')
    purged = manager.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("d")
    assert purged.total_messages_purged == 3
    assert recorder.requests[0].line.startswith("DELETE /devices/d/commands?api-version=")


def test_a_wrong_call_says_what_is_wrong(manager: IoTHubRegistryManager) -> None:
    get_identity = manager.protocol.devices.get_identity
    wrong_calls: list[tuple[Callable[[], Any], str]] = [
        (get_identity, r"get_identity\(\) got no argument 'id'"),
        (lambda: get_identity("d", id="d"), "got twice the argument 'id'"),
        (lambda: get_identity("d", verify=False), "got an unexpected argument 'verify'"),
        (lambda: get_identity("d", None, False, 1), "takes 3 arguments, 4 were given"),
    ]
    for wrong, text in wrong_calls:
        with pytest.raises(TypeError, match=text):
            wrong()


def test_a_with_block_ends_its_connections_and_a_call_afterwards_makes_a_new_one(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    for _ in range(2):
        with manager.protocol:
            manager.get_twin("d")
            manager.get_twin("d")
    with manager:
        manager.get_twin("d")
    assert [request.connection for request in recorder.requests] == [1, 1, 2, 2, 3]


def test_it_can_be_made_on_its_own(recorder: RecordingHub) -> None:
    credentials = ConnectionStringAuthentication(recorder.connection_string())
    protocol = IotHubGatewayServiceAPIs(credentials, "https://" + credentials["HostName"])
    assert protocol.statistics.get_service_statistics().connected_device_count is None
    with pytest.raises(ValueError, match="Parameter 'credentials' must not be None"):
        IotHubGatewayServiceAPIs(None, "https://h")  # type: ignore[arg-type]


def test_unchecked_certificates_are_refused(manager: IoTHubRegistryManager) -> None:
    assert manager.protocol.config.connection.verify is True
    with pytest.raises(NotImplementedError, match="REQUESTS_CA_BUNDLE"):
        manager.protocol.config.connection.verify = False
    with pytest.raises(AttributeError, match="cert"):
        manager.protocol.config.connection.cert = "device.pem"  # type: ignore[attr-defined]
