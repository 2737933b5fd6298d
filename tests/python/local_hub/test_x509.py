"""Devices that show certificates, and the CAs that a hub takes them from."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import X509, IoTHubDeviceClient
from azure.iot.device.exceptions import CredentialError
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import Program, run
from x509_certificates import make_ca, make_certificate, thumbprint


def client(folder: Path, certificate: str, hub: LocalHub, device_id: str, **options: Any) -> IoTHubDeviceClient:
    x509 = X509(str(folder / f"{certificate}.pem"), str(folder / f"{certificate}.key"))
    return IoTHubDeviceClient.create_from_x509_certificate(x509, f"localhost:{hub.port}", device_id, **options)


@pytest.fixture
def by_thumbprint(registry: IoTHubRegistryManager, tmp_path: Path) -> None:
    """A device `d` with the certificate `own.pem`."""
    make_certificate(tmp_path, "own", "whatever")
    registry.create_device_with_x509("d", thumbprint(tmp_path / "own.pem", "sha1"), None, "enabled")


@pytest.mark.usefixtures("by_thumbprint")
def test_a_certificate_counts_for_a_resumed_tls_session_too(hub: LocalHub, tmp_path: Path) -> None:
    device = client(tmp_path, "own", hub, "d")
    for _ in range(3):
        device.connect()
        device.disconnect()
    device.shutdown()
    assert hub.statistics()["connects"] == 3


@pytest.mark.usefixtures("by_thumbprint")
def test_a_connection_ends_with_its_certificate(hub: LocalHub, tmp_path: Path) -> None:
    device = client(tmp_path, "own", hub, "d", connection_retry=False)
    lost = threading.Event()
    device.on_background_exception = lambda _error: lost.set()
    device.connect()
    hub.faults.move_clock(3 * 24 * 3600)
    assert lost.wait(20)
    with pytest.raises(CredentialError, match="certificate is its own"):
        device.connect()
    device.shutdown()


@pytest.mark.parametrize("process", [False, True])
def test_a_hub_keeps_its_cas_with_its_data(process: bool, tmp_path: Path) -> None:
    ca = make_ca(tmp_path, "ca")
    make_certificate(tmp_path, "d", "d", ca="ca")
    with LocalHub(data=tmp_path / "data", process=process) as hub:
        hub.add_ca_certificate(ca.encode())
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_certificate_authority("d", "enabled")
        hub.restart()
        device = client(tmp_path, "d", hub, "d")
        device.send_message("after the restart")
        device.shutdown()
        assert [message.body for message in hub.telemetry()] == [b"after the restart"]


@pytest.mark.parametrize(("text", "why"), [("", "no PEM certificate"), ("leaf", "CA:TRUE")])
def test_what_is_no_ca_is_refused(text: str, why: str, hub: LocalHub, tmp_path: Path) -> None:
    make_certificate(tmp_path, "leaf", "d")
    certificate = (tmp_path / "leaf.pem").read_text() if text else ""
    with pytest.raises(ValueError, match=why):
        hub.add_ca_certificate(certificate)


def test_the_command_takes_cas_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERROHUB_HOME", str(tmp_path / "home"))
    for name in ("one", "two"):
        make_ca(tmp_path, name)
        make_certificate(tmp_path, f"by-{name}", f"by-{name}", ca=name)
    files = [argument for name in ("one", "two") for argument in ("--ca-certificate", tmp_path / f"{name}.pem")]
    command = (sys.executable, "-m", "ferrohub", "up", "--port", "0")
    with Program(*command, *files) as up:
        service = up.wait_for("HostName=").strip()
        registry = IoTHubRegistryManager(service)
        host_name = service.removeprefix("HostName=").partition(";")[0]
        for name in ("by-one", "by-two"):
            registry.create_device_with_certificate_authority(name, "enabled")
            x509 = X509(str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}.key"))
            device = IoTHubDeviceClient.create_from_x509_certificate(x509, host_name, name)
            device.connect()
            device.shutdown()
    for name, why in (("missing.pem", "can't be read"), ("one.key", "no PEM certificate")):
        ran = run(*command, "--ca-certificate", tmp_path / name)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(f"ferrohub: {tmp_path / name} can't be")
        assert why in ran.err
