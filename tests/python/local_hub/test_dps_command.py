"""`ferrohub dps`: who may register with the hub that runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from azure.iot.device import X509, ProvisioningDeviceClient
from ferrohub import LocalHub
from ferrohub.local_hub import derive_key
from support import Outcome, run
from x509_certificates import make_ca, make_certificate

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="


@pytest.fixture
def asked(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    """The hub that the command asks."""
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", hub.connection_string)
    return hub


def dps(*arguments: str) -> Outcome:
    return run(sys.executable, "-m", "ferrohub", "dps", *arguments)


def test_enroll_prints_what_a_device_needs(asked: LocalHub) -> None:
    twin = '{"tags": {"floor": 1}}'
    ran = dps("enroll", "reg1", "--device-id", "sensor", "--initial-twin", twin, "--payload", "[1]", "--iot-edge")
    assert (ran.code, ran.err) == (0, "")
    told = dict(line.split(":  ") for line in ran.out.splitlines())
    assert {name: value.strip() for name, value in told.items()} == {
        "Provisioning host": f"localhost:{asked.port}",
        "ID scope": asked.id_scope,
        "Registration id": "reg1",
        "Credentials": asked.dps.enrollment("reg1").device_key("reg1"),
    }
    client = ProvisioningDeviceClient.create_from_symmetric_key(
        told["Provisioning host"].strip(), "reg1", told["ID scope"].strip(), told["Credentials"].strip()
    )
    state = client.register().registration_state
    assert state
    assert (state.device_id, state.response_payload) == ("sensor", "[1]")
    ran = dps("list")
    assert (ran.out, ran.err) == ("device reg1 (enabled)\n  reg1 registered as sensor\n", "")


def test_a_groups_devices_get_their_keys_from_the_command(asked: LocalHub) -> None:
    ran = dps("enroll", "fleet", "--group", "--key", KEY, "--reprovision", "reset", "--disabled")
    assert KEY in ran.out
    assert "`ferrohub dps derive-key --group fleet REGISTRATION_ID`" in ran.out
    assert dps("list").out == "group fleet (disabled)\n"
    expected = derive_key(KEY, "d1") + "\n"
    assert dps("derive-key", "d1", "--group", "fleet").out == expected
    assert dps("derive-key", "d1", "--key", KEY).out == expected
    assert dps("remove", "fleet").code == 0
    assert dps("list").out == ""


def test_certificates_are_read_from_files(asked: LocalHub, tmp_path: Path) -> None:
    make_ca(tmp_path, "ca")
    make_certificate(tmp_path, "d1", "d1", ca="ca")
    ran = dps("enroll", "factory", "--group", "--certificate", str(tmp_path / "ca.pem"))
    assert "a certificate of the CA, with the registration id as its common name" in ran.out
    x509 = X509(str(tmp_path / "d1.pem"), str(tmp_path / "d1.key"))
    client = ProvisioningDeviceClient.create_from_x509_certificate(asked.provisioning_host, "d1", asked.id_scope, x509)
    assert client.register().status == "assigned"
    assert "its certificate" in dps("enroll", "d1", "--certificate", str(tmp_path / "d1.pem")).out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("remove", "nobody"), "the hub has no enrollment nobody"),
        (("derive-key", "d1", "--group", "nobody"), "the hub has no enrollment group nobody"),
        (("derive-key", "d1", "--key", "a2V5Z"), "is not valid base64"),
        (("enroll", "a b"), "the hub refused the enrollment: 'a b' is no registration id"),
        (("enroll", "a", "--key", "short"), "the hub refused the enrollment: Invalid device key length"),
        (("enroll", "a", "--certificate", "missing.pem"), "missing.pem can't be read"),
    ],
)
def test_what_can_not_be_is_said_in_a_line(asked: LocalHub, arguments: tuple[str, ...], text: str) -> None:
    ran = dps(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("ferrohub: ")
    assert text in ran.err
    assert len(ran.err.splitlines()) == 1
    assert asked.dps.enrollments() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("enroll", "a", "--initial-twin", "{"),
        ("enroll", "a", "--group", "--device-id", "d"),
        ("enroll", "a", "--key", KEY, "--certificate", "c.pem"),
        ("derive-key", "d1"),
        ("derive-key", "d1", "--key", KEY, "--group", "g"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments: tuple[str, ...]) -> None:
    assert dps(*arguments).code == 2
