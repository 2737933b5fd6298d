"""What a device promises that asks for its hub, and what it gets."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import X509, IoTHubDeviceClient, ProvisioningDeviceClient, aio
from azure.iot.device.common.pipeline.pipeline_exceptions import PipelineNotRunning
from azure.iot.device.exceptions import ClientError
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from ferrohub.local_hub import derive_key
from http_proxy import HttpProxy
from x509_certificates import make_ca, make_certificate

SECONDS = 20
"""No test waits longer than this for anything."""


def ways(hub: LocalHub, folder: Path) -> dict[str, tuple[str, Any]]:
    """What a device can show, by its registration id: the factory, and the key or certificate."""
    group_key = "MDEyMzQ1Njc4OWFiY2RlZg=="
    own = hub.dps.enroll("own-key", device_id="sensor")
    group = hub.dps.enroll("fleet", group=True, primary_key=group_key)
    make_certificate(folder, "own", "own-certificate")
    hub.dps.enroll("own-certificate", certificate=(folder / "own.pem").read_text())
    hub.dps.enroll("factory", group=True, certificate=make_ca(folder, "ca").encode())
    make_certificate(folder, "by-ca", "by-ca", ca="ca")
    assert group.device_key("of-the-fleet") == derive_key(group_key, "of-the-fleet")
    return {
        "own-key": ("create_from_symmetric_key", own.device_key("own-key")),
        "of-the-fleet": ("create_from_symmetric_key", group.device_key("of-the-fleet")),
        "own-certificate": (
            "create_from_x509_certificate",
            X509(str(folder / "own.pem"), str(folder / "own.key")),
        ),
        "by-ca": (
            "create_from_x509_certificate",
            X509.from_pem((folder / "by-ca.pem").read_text(), (folder / "by-ca.key").read_bytes()),
        ),
    }


def device_ids(results: list[Any]) -> list[str]:
    return [result.registration_state.device_id for result in results]


@pytest.mark.parametrize("websockets", [False, True])
def test_a_device_is_given_its_hub_by_key_and_certificate_its_own_or_its_groups(
    sort: Any, hub: LocalHub, tmp_path: Path, websockets: bool
) -> None:
    shown = ways(hub, tmp_path)
    clients = [
        getattr(sort.cls, factory)(hub.provisioning_host, name, hub.id_scope, credential, websockets=websockets)
        for name, (factory, credential) in shown.items()
    ]

    async def register_all() -> list[Any]:
        if sort.sdk is aio:
            return await asyncio.gather(*(client.register() for client in clients))
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(len(clients)) as threads:
            return await asyncio.gather(*(loop.run_in_executor(threads, client.register) for client in clients))

    results = asyncio.run(asyncio.wait_for(register_all(), SECONDS))
    assert device_ids(results) == ["sensor", "of-the-fleet", "own-certificate", "by-ca"]
    assert {result.status for result in results} == {"assigned"}
    for result, (factory, credential) in zip(results, shown.values()):
        state = result.registration_state
        assert (state.assigned_hub, state.sub_status) == (f"localhost:{hub.port}", "initialAssignment")
        if factory == "create_from_symmetric_key":
            device = IoTHubDeviceClient.create_from_symmetric_key(credential, state.assigned_hub, state.device_id)
        else:
            device = IoTHubDeviceClient.create_from_x509_certificate(credential, state.assigned_hub, state.device_id)
        device.send_message(state.device_id)
        device.shutdown()
    assert [message.body.decode() for message in hub.telemetry()] == device_ids(results)


def test_a_device_is_made_with_its_twin_and_both_sides_get_their_payload(sort: Any, hub: LocalHub) -> None:
    class Model:
        def __init__(self) -> None:
            self.b, self.a = "é", [1, None]

    twin = {"tags": {"floor": 1}, "properties": {"desired": {"interval": 5}}}
    client = sort.enrolled("reg1", device_id="sensor", initial_twin=twin, iot_edge=True, payload={"big": 10**30})
    assert client.provisioning_payload is None
    client.provisioning_payload = Model()
    result = sort.register(client)
    state = result.registration_state
    assert json.loads(state.response_payload) == {"big": 10**30}
    assert str(result) == f'sensor\nlocalhost:{hub.port}\ninitialAssignment\n{{"big": {10**30}}}\nassigned'
    assert result.operation_id.startswith("4.")
    assert state.created_date_time == state.last_update_date_time
    assert state.etag
    (registered,) = hub.dps.enrollment("reg1").registrations
    assert (registered.device_id, registered.payload) == ("sensor", {"a": [1, None], "b": "é"})
    registry = IoTHubRegistryManager(hub.connection_string)
    assert registry.get_device("sensor").capabilities.iot_edge is True
    assert [module.module_id for module in registry.get_modules("sensor")] == ["$edgeAgent", "$edgeHub"]
    made = registry.get_twin("sensor")
    assert (made.tags, made.properties.desired["interval"]) == ({"floor": 1}, 5)


def test_a_client_that_is_done_registers_no_second_time_and_another_one_does(
    sort: Any, hub: LocalHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="azure.iot.device")
    client = sort.enrolled("reg1")
    sort.register(client)
    lines = [record.getMessage() for record in caplog.records if "Provisioning Service" in record.getMessage()]
    assert lines == ["Registering with Provisioning Service...", "Successfully registered with Provisioning Service"]
    text = "^Cannot execute method - Pipeline is not running"
    for expected in (ClientError, PipelineNotRunning):
        with pytest.raises(expected, match=text):
            sort.register(client)
    again = sort.register(sort.client("reg1", hub.dps.enrollment("reg1").device_key("reg1")))
    assert again.registration_state.sub_status == "reprovisionedToInitialAssignment"


def test_a_client_goes_through_a_proxy_and_to_a_gateway(sort: Any, hub: LocalHub) -> None:
    key = hub.dps.enroll("reg1").device_key("reg1")
    with HttpProxy() as proxy:
        client = sort.cls.create_from_symmetric_key(
            "global.azure-devices-provisioning.net",
            "reg1",
            hub.id_scope,
            key,
            gateway_hostname=hub.provisioning_host,
            proxy_options=proxy.options(),
            server_verification_cert=Path(hub.ca_file).read_text(),
            cipher="ECDHE-ECDSA-AES128-GCM-SHA256",
            keep_alive=30,
            sastoken_ttl=60,
        )
        sort.register(client)
        assert proxy.targets == [f"localhost:{hub.port}"]


def test_a_registration_outlives_the_hub_that_is_at_work_on_it(tmp_path: Path) -> None:
    with LocalHub(data=tmp_path / "data", process=True) as hub, ThreadPoolExecutor(1) as thread:
        key = hub.dps.enroll("reg1").device_key("reg1")
        client = ProvisioningDeviceClient.create_from_symmetric_key(hub.provisioning_host, "reg1", hub.id_scope, key)
        hub.faults.stall_registrations()
        registering = thread.submit(client.register)
        while not hub.dps.enrollment("reg1").registrations:
            assert not registering.done()
        hub.kill()
        hub.restart()
        assert registering.result(60).status == "assigned"


def test_enrollments_and_registrations_outlive_the_hub(tmp_path: Path) -> None:
    with LocalHub(data=tmp_path / "data", process=True) as hub:
        key = hub.dps.enroll("reg1").device_key("reg1")
        hub.dps.enroll("fleet", group=True)
        hub.kill()
        hub.restart()
        enrolled = hub.dps.enrollments()
        assert [enrollment.id for enrollment in enrolled] == ["fleet", "reg1"]
        assert key not in repr(enrolled)
        hub.dps.remove("fleet")
        with pytest.raises(LookupError, match="no enrollment fleet"):
            hub.dps.remove("fleet")
        with pytest.raises(LookupError, match="no enrollment fleet"):
            hub.dps.enrollment("fleet")
        with pytest.raises(ValueError, match="is no registration id"):
            hub.dps.enroll("a/b")
