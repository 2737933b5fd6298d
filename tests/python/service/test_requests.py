"""What goes over the wire is what the official package sends: recorded from it, compared name by name.

What is left out of the comparison, and what differs on purpose, stands in `golden_requests.py`. A signature is
computed again here.
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
from ferrohub import service
from ferrohub.service import IoTHubRegistryManager
from ferrohub.service.models import Twin, TwinProperties
from golden_requests import (
    assert_official_error,
    assert_official_requests,
    assert_official_result,
    headers,
    official_calls,
)
from recorded_requests import RECORDED
from recording_hub import Answer, Recorded, RecordingHub
from support import PATIENCE

Golden = Callable[[str], Any]
# Not typed by the manager: some calls give what its signature does not allow.
Call = Callable[[Any], Any]

OFFICIAL = official_calls()
CONTOSO = "contoso-hub.azure-devices.net"
KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZy1vbmx5LTAwMDE="


def _desired(interval: int) -> Twin:
    twin = Twin()
    twin.properties = TwinProperties(desired={"telemetryInterval": interval})
    return twin


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
        assert headers(request.headers) == headers(official["headers"]), request.line
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
    sent = {name.lower(): value for name, value in recorder.requests[0].headers.items()}
    assert re.fullmatch(r"ferrohub/\d+\.\d+\.\d+ \(python 3\.\d+\.\d+; \w+\)", sent["user-agent"])


def test_every_recorded_call_is_made_here() -> None:
    assert list(RECORDED) != []
    assert sorted(RECORDED) == sorted(OFFICIAL)


@pytest.mark.parametrize("name", RECORDED)
def test_a_call_asks_and_gives_what_the_official_one_does(name: str, recorder: RecordingHub) -> None:
    recorded, official = RECORDED[name], OFFICIAL[name]
    recorder.answers = recorded.answer
    manager = getattr(service, recorded.manager)(recorder.connection_string())
    result = official["result"]
    if "raise" in result:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared by name
            recorded.call(manager)
        assert_official_error(caught.value, result)
    else:
        assert_official_result(recorded.shown(recorded.call(manager)), result)
    assert_official_requests(recorder, official)


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


def test_a_manager_that_is_closed_or_gone_ends_its_connections_at_once(recorder: RecordingHub) -> None:
    manager = IoTHubRegistryManager(recorder.connection_string())
    manager.get_twin("d")
    manager.close()
    assert recorder.ended.get(timeout=PATIENCE) == 1
    manager.get_twin("d")
    del manager
    assert recorder.ended.get(timeout=PATIENCE) == 2


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
        with pytest.raises(
            HttpOperationError, match=r"^Unknown error: localhost:\d+ answered 302 'Found' and points to"
        ) as caught:
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
