"""A create whose answer was lost and that finds its own success is no conflict; every other conflict is."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from typing import Any, Callable

import pytest
from azure.iot.hub.models import Configuration, ConfigurationContent
from ferrohub.service import HttpOperationError, IoTHubConfigurationManager, IoTHubRegistryManager, RetryPolicy
from recording_hub import JSON, Answer, Recorded, RecordingHub

LOST = Answer(None)
BUSY = Answer(503, "Service Unavailable")
THROTTLED = Answer(429, "Too Many Requests", headers=(*JSON, ("Retry-After", "0")))
SAS = {"type": "sas", "symmetricKey": {"primaryKey": "made by", "secondaryKey": "the hub"}}
ASKED = {"deviceId": "d", "status": "enabled", "authentication": SAS, "capabilities": {"iotEdge": False}}


def generation(seconds_ago: float = 0) -> str:
    """As the hub makes it: .NET ticks of the moment."""
    return str(int((time.time() - seconds_ago + 62_135_596_800) * 10_000_000))


class CreatingHub:
    """What the hub answers: to the first PUT as told, to the next 409, to GET the identity that is there."""

    def __init__(self, first: Answer, there: dict[str, Any] | None, *, tells_the_time: bool = True) -> None:
        self._first: list[Answer] = [first]
        self._there = there
        self._headers = (*JSON, ("Date", formatdate(usegmt=True))) if tells_the_time else JSON

    def __call__(self, request: Recorded) -> Answer:
        if request.line.startswith("GET"):
            return Answer(404, "Not Found") if self._there is None else Answer(body=json.dumps(self._there).encode())
        if self._first:
            return self._first.pop()
        return Answer(409, "Conflict", b'{"Message":"ErrorCode:DeviceAlreadyExists;d"}', self._headers)


@pytest.fixture
def manager(recorder: RecordingHub) -> IoTHubRegistryManager:
    return IoTHubRegistryManager(recorder.connection_string(), retry=RetryPolicy(backoff=0.01))


@pytest.mark.parametrize("first", [LOST, BUSY], ids=["lost", "busy"])
@pytest.mark.parametrize(
    ("create", "there"),
    [
        (lambda m: m.create_device_with_sas("d", "", "", "enabled"), ASKED),
        (
            lambda m: m.create_device_with_x509("d", "A", "B", "enabled"),
            {
                **ASKED,
                "authentication": {
                    "type": "selfSigned",
                    "x509Thumbprint": {"primaryThumbprint": "A", "secondaryThumbprint": "B"},
                },
            },
        ),
        (
            lambda m: m.create_device_with_certificate_authority("d", "enabled"),
            {**ASKED, "authentication": {"type": "certificateAuthority"}},
        ),
        (
            lambda m: m.create_module_with_sas("d", "m", "", "made by", "the hub"),
            {"deviceId": "d", "moduleId": "m", "managedBy": "", "authentication": SAS},
        ),
    ],
    ids=["keys", "thumbprints", "authority", "module"],
)
def test_its_own_success_is_the_result(
    first: Answer,
    create: Callable[[IoTHubRegistryManager], Any],
    there: dict[str, Any],
    recorder: RecordingHub,
    manager: IoTHubRegistryManager,
) -> None:
    recorder.answers = CreatingHub(first, {**there, "generationId": generation(), "etag": "e"})
    assert create(manager).etag == "e"
    assert [request.line.partition(" ")[0] for request in recorder.requests] == ["PUT", "PUT", "GET"]


@pytest.mark.parametrize(
    "hub",
    [
        CreatingHub(LOST, {**ASKED, "generationId": generation(seconds_ago=30)}),
        CreatingHub(LOST, {**ASKED, "generationId": generation(), "status": "disabled"}),
        CreatingHub(LOST, {**ASKED, "generationId": generation(), "authentication": {"type": "selfSigned"}}),
        CreatingHub(LOST, {**ASKED, "generationId": "no ticks"}),
        CreatingHub(LOST, ASKED),
        CreatingHub(LOST, {**ASKED, "generationId": generation()}, tells_the_time=False),
        CreatingHub(LOST, None),
    ],
    ids=["older", "other status", "other credentials", "no ticks", "no generation", "no time", "gone"],
)
def test_what_is_not_surely_its_own_is_a_conflict(
    hub: CreatingHub, recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    recorder.answers = hub
    with pytest.raises(HttpOperationError, match="DeviceAlreadyExists") as caught:
        manager.create_device_with_sas("d", "", "", "enabled")
    assert caught.value.response.status_code == 409


def test_other_keys_are_a_conflict(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    recorder.answers = CreatingHub(LOST, {**ASKED, "generationId": generation()})
    with pytest.raises(HttpOperationError, match="DeviceAlreadyExists"):
        manager.create_device_with_sas("d", "mine", "mine too", "enabled")


def test_a_create_that_surely_had_no_effect_before_is_not_looked_for(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    recorder.answers = CreatingHub(THROTTLED, {**ASKED, "generationId": generation()})
    with pytest.raises(HttpOperationError, match="DeviceAlreadyExists"):
        manager.create_device_with_sas("d", "", "", "enabled")
    assert [request.line.partition(" ")[0] for request in recorder.requests] == ["PUT", "PUT"]


@pytest.mark.parametrize(("seconds_ago", "is_ours"), [(0, True), (30, False)])
def test_a_configurations_own_success_is_the_result_too(
    seconds_ago: float, is_ours: bool, recorder: RecordingHub
) -> None:
    created = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
    there = {
        "id": "c",
        "content": {"deviceContent": {"properties.desired.a": 1}},
        "createdTimeUtc": created.isoformat().replace("+00:00", "Z"),
        "etag": "e",
    }
    recorder.answers = CreatingHub(LOST, there)
    wanted = Configuration(id="c", content=ConfigurationContent(device_content={"properties.desired.a": 1}))
    manager = IoTHubConfigurationManager(recorder.connection_string(), retry=RetryPolicy(backoff=0.01))
    if is_ours:
        assert manager.create_configuration(wanted).etag == "e"
    else:
        with pytest.raises(HttpOperationError, match="AlreadyExists"):
            manager.create_configuration(wanted)
    assert [request.line.partition(" ")[0] for request in recorder.requests] == ["PUT", "PUT", "GET"]
