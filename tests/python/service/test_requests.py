"""What goes over the wire is what the official package sends: recorded from it, compared name by name.

Left out of the comparison: user agent, Accept-Encoding, the order of headers, and the moment a signature
expires (its signature is computed again here).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable
from urllib.parse import quote, quote_plus

import pytest
from ferrohub.service import IoTHubRegistryManager
from ferrohub.service.models import Twin, TwinProperties
from recording_hub import Answer, Recorded, RecordingHub

Golden = Callable[[str], Any]
# Not typed by the manager: some calls give what its signature does not allow.
Call = Callable[[Any], Any]

CONTOSO = "contoso-hub.azure-devices.net"
KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZy1vbmx5LTAwMDE="
NOT_COMPARED = ("user-agent", "accept-encoding", "authorization")
NO_CONTENT = Answer(204, "No Content", b"")
EMPTY_LIST = Answer(body=b"[]")


def _desired(interval: int) -> Twin:
    twin = Twin()
    twin.properties = TwinProperties(desired={"telemetryInterval": interval})
    return twin


def _headers(headers: dict[str, str]) -> dict[str, str]:
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lower.items() if name not in NOT_COMPARED}


TUTORIAL: list[Call] = [
    lambda manager: manager.create_device_with_sas("myFirstDevice", "", "", "enabled"),
    lambda manager: manager.create_module_with_sas("myFirstDevice", "myFirstModule", "", "", ""),
    lambda manager: manager.create_device_with_sas("myFirstDevice", "", "", "enabled"),
    lambda manager: manager.get_device("myFirstDevice"),
    lambda manager: manager.create_module_with_sas("myFirstDevice", "myFirstModule", "", "", ""),
    lambda manager: manager.get_module("myFirstDevice", "myFirstModule"),
    lambda manager: manager.get_module_twin("myFirstDevice", "myFirstModule"),
    lambda manager: manager.update_module_twin("myFirstDevice", "myFirstModule", _desired(122), "AAAAAAAAAAE="),
    lambda manager: manager.get_module_twin("myFirstDevice", "myFirstModule"),
    lambda manager: manager.update_module_twin("myFirstDevice", "myFirstModule", _desired(122), "AAAAAAAAAAI="),
]


def test_the_tutorial_sends_what_it_sends_with_the_official_package(
    recorder: RecordingHub, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    # The recorder answers for contoso as a proxy does, so that even the Host header can be compared.
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{recorder.port}")
    manager = IoTHubRegistryManager(f"HostName={CONTOSO};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}")
    for call in TUTORIAL:
        call(manager)
    expected = golden("golden_tutorial_requests.json")
    for request, official in zip(recorder.requests, expected):
        assert request.line == f"{official['method']} {official['path']} HTTP/1.1"
        assert _headers(request.headers) == _headers(official["headers"]), request.line
        assert request.body.decode() == official["body"]
    assert len(recorder.requests) == len(expected)
    assert recorder.connections == 1


def test_each_request_is_signed_with_the_policys_key_for_an_hour(recorder: RecordingHub) -> None:
    IoTHubRegistryManager(recorder.connection_string(KEY)).get_device("d")
    resource = quote_plus(f"localhost:{recorder.port}")
    token = {name.lower(): value for name, value in recorder.requests[0].headers.items()}["authorization"]
    fields = re.fullmatch(r"SharedAccessSignature sr=(.+)&sig=(.+)&se=(\d+)&skn=iothubowner", token)
    assert fields
    assert fields[1] == resource
    assert 3590 <= int(fields[3]) - time.time() <= 3601
    signed = hmac.new(base64.b64decode(KEY), f"{resource}\n{fields[3]}".encode(), hashlib.sha256).digest()
    assert fields[2] == quote(base64.b64encode(signed))


def test_the_user_agent_says_ferrohub(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    manager.get_device("d")
    headers = {name.lower(): value for name, value in recorder.requests[0].headers.items()}
    assert re.fullmatch(r"ferrohub/\d+\.\d+\.\d+ \(python 3\.\d+\.\d+; \w+\)", headers["user-agent"])


SAS = ("d", "pk", "sk", "enabled")
# Recorded calls of today's operations, by the recorder's name for them: the call, and what the hub answers.
RECORDED: dict[str, tuple[Call, Answer]] = {
    "create_device_with_sas('d','pk','sk','enabled')": (lambda m: m.create_device_with_sas(*SAS), Answer()),
    "create_device_with_sas full edge parent str": (
        lambda m: m.create_device_with_sas(
            "d", "pk", "sk", "disabled", True, "why", "ms-azure-iot-edge://p-1", "ms-azure-iot-edge://p-1"
        ),
        Answer(),
    ),
    "create_device_with_sas None keys": (
        lambda m: m.create_device_with_sas("d", None, None, "enabled", parent_scopes=["a", "b"]),
        Answer(),
    ),
    "update_device_with_sas etag=None": (
        lambda m: m.update_device_with_sas("d", None, "pk", "sk", "enabled"),
        Answer(),
    ),
    "update_device_with_sas etag=abc": (
        lambda m: m.update_device_with_sas("d", "abc", "pk", "sk", "enabled"),
        Answer(),
    ),
    'update_device_with_sas etag="abc"': (
        lambda m: m.update_device_with_sas("d", '"abc"', "pk", "sk", "enabled"),
        Answer(),
    ),
    "get_device": (lambda m: m.get_device("d"), Answer()),
    "get_device special id": (
        lambda m: m.get_device("a b/c?d#e%f:g+h@i;j$k'l(m)n*o!p=q,r_s~t.\u00e9"),
        Answer(),
    ),
    "get_device None": (lambda m: m.get_device(None), Answer()),
    "get_device ''": (lambda m: m.get_device(""), Answer()),
    "get_device int": (lambda m: m.get_device(7), Answer()),
    "get_device braces": (lambda m: m.get_device("{x}"), Answer()),
    "delete_device": (lambda m: m.delete_device("d"), NO_CONTENT),
    "delete_device etag": (lambda m: m.delete_device("d", "e1"), NO_CONTENT),
    "delete_device 200": (lambda m: m.delete_device("d"), Answer()),
    "create_module_with_sas": (
        lambda m: m.create_module_with_sas("d", "m", "mgr", "pk", "sk"),
        Answer(201, "Created"),
    ),
    "create_module_with_sas None managed": (
        lambda m: m.create_module_with_sas("d", "m", None, "pk", "sk"),
        Answer(),
    ),
    "update_module_with_sas": (
        lambda m: m.update_module_with_sas("d", "m", "mgr", "e1", "pk", "sk"),
        Answer(),
    ),
    "get_module": (lambda m: m.get_module("d", "m"), Answer()),
    "get_modules": (lambda m: m.get_modules("d"), EMPTY_LIST),
    "delete_module": (lambda m: m.delete_module("d", "m"), NO_CONTENT),
    "get_devices": (lambda m: m.get_devices(), EMPTY_LIST),
    "get_devices 10": (lambda m: m.get_devices(10), EMPTY_LIST),
    "get_devices '10'": (lambda m: m.get_devices("10"), EMPTY_LIST),
    "get_devices 'x'": (lambda m: m.get_devices("x"), EMPTY_LIST),
    "get_devices 2.7": (lambda m: m.get_devices(2.7), EMPTY_LIST),
    "get_twin": (lambda m: m.get_twin("d"), Answer()),
    "replace_twin": (
        lambda m: m.replace_twin(
            "d",
            Twin(tags={"a": {"b": None, "c": 1}}, properties=TwinProperties(desired={"x": [1, {"y": 2}]})),
            "e1",
        ),
        Answer(),
    ),
    "update_twin None etag": (lambda m: m.update_twin("d", Twin(tags={"a": None})), Answer()),
    "update_twin dict body": (
        lambda m: m.update_twin("d", {"tags": {"a": 1}, "properties": {"desired": {"z": 1}}}),
        Answer(),
    ),
    "update_twin with etag in model": (
        lambda m: m.update_twin("d", Twin(etag="inner", version=3, status_update_time="2024-01-02T03:04:05.678Z")),
        Answer(),
    ),
    "update_twin Twin() empty": (lambda m: m.update_twin("d", Twin()), Answer()),
    "update_twin None": (lambda m: m.update_twin("d", None), Answer()),
    "update_twin unicode/nonascii": (
        lambda m: m.update_twin("d", Twin(tags={"k": "\u00e9\u2603"})),
        Answer(),
    ),
    "update_twin tags not dict": (lambda m: m.update_twin("d", Twin(tags=5)), Answer()),
    "update_twin tags list": (lambda m: m.update_twin("d", Twin(tags=[1])), Answer()),
    "update_twin version str": (lambda m: m.update_twin("d", Twin(version="x")), Answer()),
    "get_module_twin": (lambda m: m.get_module_twin("d", "m"), Answer()),
    "replace_module_twin": (
        lambda m: m.replace_module_twin("d", "m", Twin(properties=TwinProperties(desired={"x": 1}))),
        Answer(),
    ),
    "update_module_twin tutorial": (
        lambda m: m.update_module_twin("d", "m", _desired(122), "AAAAAAAAAAE="),
        Answer(),
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_call_asks_and_gives_what_the_official_one_does(
    name: str, recorder: RecordingHub, manager: IoTHubRegistryManager, golden: Golden
) -> None:
    call, recorder.answers = RECORDED[name]
    official = next(row for row in golden("golden_all_methods.json") if row["call"] == name)
    result = official["result"]
    if "raise" in result:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared by name
            call(manager)
        mro = [f"{cls.__module__}.{cls.__name__}" for cls in type(caught.value).__mro__]
        short = result["raise"].rpartition(".")[2]
        assert short in [name.rpartition(".")[2] for name in mro]
        # Deliberate difference: the text is the sentence, not the repr of (sentence, cause).
        assert str(caught.value) in result["str"]
    else:
        value = call(manager)
        assert type(value).__name__ == result["return"]
        assert str(value).startswith(result["str"])  # The recorder cut long texts.
    assert len(recorder.requests) == len(official["requests"])
    for request, expected in zip(recorder.requests, official["requests"]):
        _compare(request, expected)


def _compare(request: Recorded, official: dict[str, Any]) -> None:
    assert request.line == official["line"]
    headers = _headers(request.headers)
    for always in ("host", "connection", "content-length"):
        headers.pop(always, None)
    assert headers == official["headers"]
    assert request.body.decode() == official["body"]
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert sent.get("content-length") == official["content_length"]


def test_ten_calls_share_one_connection(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    for _ in range(10):
        manager.get_twin("d")
    assert (recorder.connections, len(recorder.requests)) == (1, 10)


def test_threads_share_a_manager(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    recorder.answers = lambda request: Answer(body=b'{"deviceId": "%s"}' % _device(request).encode())
    names = [f"device-{number}" for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = [device.device_id for device in pool.map(manager.get_device, names)]
    assert found == names
    assert recorder.connections < len(names) / 2


def _device(request: Recorded) -> str:
    return request.line.partition("/devices/")[2].partition("?")[0]


def test_a_connection_that_the_hub_closed_meanwhile_is_replaced_unseen(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    for _ in range(5):
        manager.update_twin("d", Twin(tags={}))
        recorder.drop_connections()
    assert [request.connection for request in recorder.requests] == [1, 2, 3, 4, 5]


def test_making_a_manager_opens_no_connection(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    assert manager
    assert recorder.connections == 0


def test_a_redirection_of_a_get_is_followed_on_the_same_host_only(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    from ferrohub.service import HttpOperationError

    elsewhere = "https://elsewhere.example/x"

    def answers(request: Recorded) -> Answer:
        if "/old" in request.line:
            return Answer(302, "Found", b"", (("Location", "/devices/new?api-version=2021-04-12"),))
        if "/away" in request.line:
            return Answer(302, "Found", b"", (("Location", elsewhere),))
        return Answer(body=b'{"deviceId": "new"}')

    recorder.answers = answers
    assert manager.get_device("old").device_id == "new"
    for call in (lambda: manager.get_device("away"), lambda: manager.delete_device("old")):
        with pytest.raises(HttpOperationError, match=r"^Unknown error$") as caught:
            call()
        assert caught.value.response.status_code == 302


def test_a_token_credential_is_asked_once_and_its_token_sent(recorder: RecordingHub) -> None:
    class Credential:
        scopes: list[tuple[str, ...]] = []  # noqa: RUF012

        def get_token(self, *scopes: str) -> Any:
            self.scopes.append(scopes)
            return type("Token", (), {"token": "jwt", "expires_on": time.time() + 3600})

    manager = IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", Credential())
    manager.get_device("d")
    manager.get_device("d")
    assert Credential.scopes == [("https://iothubs.azure.net/.default",)]
    assert [{n.lower(): v for n, v in r.headers.items()}["authorization"] for r in recorder.requests] == [
        "Bearer jwt"
    ] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_makes_its_own_connection(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    manager.get_device("d")
    child = os.fork()
    if child == 0:
        try:
            manager.get_device("d")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    manager.get_device("d")
    assert [request.connection for request in recorder.requests] == [1, 2, 1]


def test_bodies_are_written_as_pythons_json_does(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    tags = {"big": 10**20, "nan": float("nan"), "text": "\u00e9", "none": None}
    manager.update_twin("d", Twin(tags=tags))
    assert recorder.requests[0].body.decode() == json.dumps({"tags": tags})
