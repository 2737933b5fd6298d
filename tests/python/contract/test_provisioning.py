"""Every callable of the provisioning clients does what it is for: both sorts of client against a local hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.iot import device as synchronous
from azure.iot.device import X509, aio
from ferrohub import LocalHub

pytestmark = pytest.mark.usefixtures("recorded")


@pytest.mark.parametrize("sdk", [synchronous, aio], ids=["sync", "aio"])
def test_a_device_registers_with_its_key(sdk: ModuleType, hub: LocalHub, run: Callable[[Any], Any]) -> None:
    key = hub.dps.enroll("reg1", device_id="sensor").device_key("reg1")
    client = sdk.ProvisioningDeviceClient.create_from_symmetric_key(hub.provisioning_host, "reg1", hub.id_scope, key)
    assert client.provisioning_payload is None
    client.provisioning_payload = {"a": 1}
    assert client.provisioning_payload == {"a": 1}
    result = run(client.register())
    assert (result.status, result.registration_state.device_id) == ("assigned", "sensor")
    (registered,) = hub.dps.enrollment("reg1").registrations
    assert registered.payload == {"a": 1}


@pytest.mark.parametrize("sdk", [synchronous, aio], ids=["sync", "aio"])
def test_a_device_registers_with_its_certificate(
    sdk: ModuleType, hub: LocalHub, run: Callable[[Any], Any], certificates: Path
) -> None:
    certificate = certificates / "server.pem"
    hub.dps.enroll("reg1", certificate=certificate.read_text())
    x509 = X509(str(certificate), str(certificates / "server.key"))
    client = sdk.ProvisioningDeviceClient.create_from_x509_certificate(
        hub.provisioning_host, "reg1", hub.id_scope, x509
    )
    result = run(client.register())
    assert (result.status, result.registration_state.assigned_hub) == ("assigned", f"localhost:{hub.port}")
