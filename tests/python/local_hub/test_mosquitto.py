"""Mosquitto's clients as devices: the hub speaks MQTT with others than our own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import time
from urllib.parse import quote

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from ferrohub import LocalHub
from support import DEVICE, PATCH_TOPIC, Program, key_of, run

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="no mosquitto clients")


def sign_in(hub: LocalHub) -> list[str]:
    """The arguments of a device of its own: address, trust, user name, token."""
    resource = quote(f"localhost/devices/{DEVICE}", safe="")
    expiry = int(time.time()) + 60
    key = base64.b64decode(key_of(hub.device_connection_string(DEVICE)))
    signature = base64.b64encode(hmac.digest(key, f"{resource}\n{expiry}".encode(), hashlib.sha256))
    token = f"SharedAccessSignature sr={resource}&sig={quote(signature, safe='')}&se={expiry}"
    arguments = f"-h localhost -p {hub.port} --cafile {hub.ca_file} -V mqttv311 -i {DEVICE}".split()
    return [*arguments, "-u", f"localhost/{DEVICE}/?api-version=2021-04-12", "-P", token]


@pytest.fixture
def device(hub: LocalHub, registry: IoTHubRegistryManager) -> list[str]:
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    return sign_in(hub)


def test_it_sends_telemetry(hub: LocalHub, device: list[str]) -> None:
    ran = run("mosquitto_pub", *device, "-q", "1", "-t", f"devices/{DEVICE}/messages/events/a=b", "-m", "hello")
    assert (ran.code, ran.err) == (0, "")
    (message,) = hub.telemetry()
    assert (message.device_id, message.body, message.properties) == (DEVICE, b"hello", {"a": "b"})


def test_it_hears_of_desired_properties(hub: LocalHub, registry: IoTHubRegistryManager, device: list[str]) -> None:
    with Program("mosquitto_sub", *device, "-q", "1", "-t", PATCH_TOPIC, "-v", "-C", "1") as subscriber:
        hub.wait_subscribed(DEVICE, None, PATCH_TOPIC)
        registry.update_twin(DEVICE, Twin(properties=TwinProperties(desired={"a": {"b": None, "c": 1}})), "*")
        topic, _, payload = subscriber.next_line().partition(" ")
        assert topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
        assert json.loads(payload) == {"a": {"b": None, "c": 1}, "$version": 2}
        assert subscriber.finish().code == 0


def test_a_wrong_token_is_not_authorised(device: list[str]) -> None:
    wrong = [part.replace("sig=", "sig=AAAA") for part in device]
    ran = run("mosquitto_pub", *wrong, "-t", f"devices/{DEVICE}/messages/events/", "-m", "x")
    assert ran.code != 0
    assert "not authorised" in ran.err
