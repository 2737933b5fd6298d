"""What the local hub has done is known as done, though its first answer was lost and it refuses the second attempt."""

from __future__ import annotations

import http.client
import ssl
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, ExportImportDevice, JobRequest, Twin
from ferrohub import LocalHub
from ferrohub.service import HttpOperationError, RetryPolicy
from ferrohub.service.sastoken import SasToken
from recording_hub import Answer, Recorded, RecordingHub

AT_ONCE = RetryPolicy(backoff=0.01)


class OnItsWay:
    """Gives requests to a hub, and answers with what it answers, but for the first answer, which is lost."""

    def __init__(self, hub: LocalHub) -> None:
        named = dict(part.split("=", 1) for part in hub.connection_string.split(";"))
        self._host, key, name = named["HostName"], named["SharedAccessKey"], named["SharedAccessKeyName"]
        self._token = str(SasToken(self._host, key, name))
        self._trusted = ssl.create_default_context(cafile=hub.ca_file)
        self._lost = False

    def __call__(self, request: Recorded) -> Answer:
        method, target, _ = request.line.split(" ")
        connection = http.client.HTTPSConnection(self._host, context=self._trusted, timeout=20)
        headers = {"Authorization": self._token, "Content-Type": "application/json"}
        connection.request(method, target, request.body, headers)
        response = connection.getresponse()
        body = response.read()
        headers = {name: value for name, value in response.getheaders() if name.lower() != "content-length"}
        connection.close()
        if not self._lost:
            self._lost = True
            return Answer(None)
        return Answer(response.status, response.reason, body, tuple(headers.items()))


@pytest.fixture
def lossy(hub: LocalHub, recorder: RecordingHub) -> str:
    """The connection string of a hub whose first answer is lost."""
    recorder.answers = OnItsWay(hub)
    return recorder.connection_string()


def asked(recorder: RecordingHub) -> list[str]:
    return [request.line.partition("?")[0] for request in recorder.requests]


def test_identities_that_bulk_has_created_or_deleted_are_done(
    lossy: str, recorder: RecordingHub, registry: IoTHubRegistryManager
) -> None:
    registry.create_device_with_sas("there", "", "", "enabled")
    registry.create_device_with_sas("going", "", "", "enabled")
    changes: list[Any] = [
        ExportImportDevice(id="new", import_mode="create", status_reason="not yet", tags={"a": 1}),
        {"id": "new", "moduleId": "m", "importMode": "create"},
        {"id": "there", "importMode": "create", "status": "disabled"},
        {"id": "going", "importMode": "delete"},
        {"id": "there", "importMode": "updateTwin", "tags": {"b": 2}},
    ]
    # One that stands there twice is refused, so the last goes with a request of its own.
    with IoTHubRegistryManager(lossy, retry=AT_ONCE) as manager:
        new, module, there, going = manager.bulk(changes[:4])
        (tagged,) = manager.bulk(changes[4:])
    assert [new.error, module.error, going.error, tagged.error] == [None] * 4
    assert there.error_code == "DeviceAlreadyExists"
    assert asked(recorder)[:5] == [
        "POST /devices",
        "POST /devices",
        "GET /devices/new",
        "GET /devices/new/modules/m",
        "GET /devices/there",
    ]
    assert registry.get_twin("new").tags == {"a": 1}
    assert registry.get_twin("there").tags == {"b": 2}
    with pytest.raises(HttpOperationError, match="DeviceNotFound"):
        registry.get_device("going")


def job(**work: Any) -> JobRequest:
    kind = "scheduleUpdateTwin" if "update_twin" in work else "scheduleDeviceMethod"
    return JobRequest(type=kind, query_condition="deviceId = 'none'", max_execution_time_in_seconds=60, **work)


LATER = datetime.now(timezone.utc) + timedelta(hours=1)
METHOD = CloudToDeviceMethod(method_name="go", payload={"speed": 5, "name": "\u00fc"}, response_timeout_in_seconds=10)


@pytest.mark.parametrize(
    "request_",
    [
        job(update_twin=Twin(etag="*", tags={"a": {"b": 1, "gone": None}}), start_time=LATER),
        job(cloud_to_device_method=METHOD),
        {"type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": {"etag": "*", "tags": {"a": 1}}},
    ],
    ids=["twins, later", "methods, now", "a dict"],
)
def test_a_job_that_was_created_is_the_result(request_: Any, lossy: str, recorder: RecordingHub) -> None:
    created = IoTHubJobManager(lossy, retry=AT_ONCE).create_scheduled_job("mine", request_)
    assert created.job_id == "mine"
    assert asked(recorder) == ["PUT /jobs/v2/mine"] * 2 + ["GET /jobs/v2/mine"]


@pytest.mark.parametrize(
    "other",
    [
        job(update_twin=Twin(etag="*", tags={"a": 2}), start_time=LATER),
        job(update_twin=Twin(etag="*", tags={"a": 1}), start_time=LATER + timedelta(minutes=1)),
        job(cloud_to_device_method=METHOD),
    ],
    ids=["other tags", "another time", "another kind"],
)
def test_a_job_of_somebody_else_is_a_conflict(
    other: JobRequest, hub: LocalHub, lossy: str, recorder: RecordingHub
) -> None:
    wanted = job(update_twin=Twin(etag="*", tags={"a": 1}), start_time=LATER)
    IoTHubJobManager(hub.connection_string).create_scheduled_job("mine", other)
    with pytest.raises(HttpOperationError, match="JobAlreadyExists"):
        IoTHubJobManager(lossy, retry=AT_ONCE).create_scheduled_job("mine", wanted)
    assert len(recorder.requests) == 3
