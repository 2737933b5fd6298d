"""Jobs of the local hub through the service client: scheduled ones, imports and exports; and what outlives a kill."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from answering_device import Answering
from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager, aio
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    ExportImportDevice,
    JobProperties,
    JobRequest,
    JobResponse,
    Twin,
    TwinProperties,
)
from ferrohub import LocalHub
from ferrohub.service import HttpOperationError
from support import DEVICE, run

ACTIVE = ("queued", "scheduled", "running", "enqueued")


@pytest.fixture
def jobs(hub: LocalHub) -> IoTHubJobManager:
    return IoTHubJobManager(hub.connection_string)


def twin_job(condition: str = "*", **changes: Any) -> JobRequest:
    twin = Twin(etag="*", tags={"done": True}, properties=TwinProperties(desired={"rate": 5}))
    return JobRequest(type="scheduleUpdateTwin", query_condition=condition, update_twin=twin, **changes)


def ended(jobs: IoTHubJobManager, name: str) -> JobResponse:
    while (job := jobs.get_scheduled_job(name)).status in ACTIVE:
        pass
    return job


def transferred(jobs: IoTHubJobManager, properties: JobProperties) -> JobProperties:
    job = jobs.create_import_export_job(properties)
    while (job := jobs.get_import_export_job(job.job_id)).status in ACTIVE:
        pass
    return job


def create(registry: IoTHubRegistryManager, count: int) -> None:
    devices = (ExportImportDevice(id=f"d{number:05}", import_mode="create") for number in range(count))
    assert all(result.succeeded for result in registry.bulk(devices))


def test_a_method_job_reaches_a_device_and_its_row_has_the_response(
    hub: LocalHub, registry: IoTHubRegistryManager, jobs: IoTHubJobManager
) -> None:
    for name in (DEVICE, "off"):
        registry.create_device_with_sas(name, "", "", "enabled")
    method = CloudToDeviceMethod(method_name="reboot", payload={"now": 1})
    with Answering(hub, DEVICE):
        jobs.create_scheduled_job(
            "j", JobRequest(type="scheduleDeviceMethod", query_condition="*", cloud_to_device_method=method)
        )
        job = ended(jobs, "j")
    counts = job.device_job_statistics
    assert counts is not None
    assert (job.status, counts.device_count, counts.succeeded_count, counts.failed_count) == ("completed", 2, 1, 1)
    rows = {row["deviceId"]: row for row in registry.query("SELECT * FROM devices.jobs WHERE jobId = 'j'")}
    assert rows[DEVICE]["outcome"] == {"deviceMethodResponse": {"status": 200, "payload": ["reboot", {"now": 1}]}}
    assert (rows["off"]["status"], rows["off"]["error"]) == ("failed", {"code": "DeviceNotOnline"})


def test_a_job_starts_when_the_hubs_clock_is_moved_to_its_time(
    hub: LocalHub, registry: IoTHubRegistryManager, jobs: IoTHubJobManager
) -> None:
    create(registry, 1)
    jobs.create_scheduled_job("later", twin_job(start_time=datetime.now(timezone.utc) + timedelta(minutes=30)))
    while (status := jobs.get_scheduled_job("later").status) == "queued":
        pass
    assert status == "scheduled"
    hub.faults.move_clock(1800)
    assert ended(jobs, "later").status == "completed"
    assert registry.get_twin("d00000").tags == {"done": True}


def test_jobs_are_listed_page_by_page(registry: IoTHubRegistryManager, jobs: IoTHubJobManager) -> None:
    for number in range(5):
        jobs.create_scheduled_job(f"j{number}", twin_job())
        ended(jobs, f"j{number}")
    names, token = [], None
    while True:
        page = jobs.query_scheduled_jobs("scheduleUpdateTwin", "completed", continuation_token=token, max_item_count=2)
        assert (page.type, page.items is not None) == ("JobResponse", True)
        names += [job["jobId"] for job in page.items or []]
        token = page.continuation_token
        if token is None:
            break
    assert names == ["j0", "j1", "j2", "j3", "j4"]
    assert jobs.query_scheduled_jobs(None, "failed").items == []
    with pytest.raises(HttpOperationError) as caught:
        jobs.query_scheduled_jobs("backup", None)
    assert caught.value.response.status_code == 400


def test_as_many_jobs_are_active_as_the_hub_is_told() -> None:
    later = datetime.now(timezone.utc) + timedelta(minutes=30)
    with LocalHub(limits={"active_jobs": 2}) as hub:
        jobs = IoTHubJobManager(hub.connection_string)
        for name in ("a", "b"):
            jobs.create_scheduled_job(name, twin_job(start_time=later))
        with pytest.raises(HttpOperationError) as caught:
            jobs.create_scheduled_job("c", twin_job(), timeout=1)
        assert caught.value.code == "ThrottlingMaxActiveJobCountExceeded"


def test_asyncio_managers_run_jobs(hub: LocalHub, registry: IoTHubRegistryManager) -> None:
    create(registry, 3)

    async def schedule() -> JobResponse:
        async with aio.IoTHubJobManager(hub.connection_string) as manager:
            await manager.create_scheduled_job("j", twin_job())
            while (job := await manager.get_scheduled_job("j")).status in ACTIVE:
                pass
            return job

    job = asyncio.run(schedule())
    assert job.device_job_statistics is not None
    assert job.device_job_statistics.succeeded_count == 3


def test_what_one_hub_exports_another_imports(
    hub: LocalHub, registry: IoTHubRegistryManager, jobs: IoTHubJobManager
) -> None:
    device = registry.create_device_with_sas(DEVICE, "", "", "enabled")
    registry.create_module_with_sas(DEVICE, "camera", "me", "", "")
    registry.update_twin(DEVICE, Twin(tags={"site": "north"}))
    exported = transferred(jobs, JobProperties(type="export", output_blob_container_uri=hub.container_uri()))
    assert (exported.status, exported.progress) == ("completed", 100)
    lines = hub.blob("devices.txt")
    assert [json.loads(line).get("moduleId") for line in lines.splitlines()] == [None, "camera"]
    with LocalHub() as other:
        other.put_blob("fleet.txt", lines + b"no device\n")
        uri = other.container_uri(60)
        imported = transferred(
            IoTHubJobManager(other.connection_string),
            JobProperties(
                type="import",
                input_blob_container_uri=uri,
                output_blob_container_uri=uri,
                input_blob_name="fleet.txt",
            ),
        )
        assert imported.status == "completed"
        found = IoTHubRegistryManager(other.connection_string)
        keys = found.get_device(DEVICE).authentication.symmetric_key
        assert vars(keys) == vars(device.authentication.symmetric_key)
        assert found.get_module(DEVICE, "camera").managed_by == "me"
        assert found.get_twin(DEVICE).tags == {"site": "north"}
        errors = [json.loads(line) for line in other.blob("importErrors.log").splitlines()]
        assert [(error["errorCode"], error["errorStatus"]) for error in errors] == [
            ("ArgumentInvalid", "Line 3 is no JSON of a device or module.")
        ]


def test_clients_of_azure_storage_reach_the_container(hub: LocalHub) -> None:
    from azure.storage.blob import ContainerClient

    with ContainerClient.from_container_url(hub.container_uri(), connection_verify=hub.ca_file) as container:
        container.upload_blob("devices.txt", b'{"id": "d"}\n')
        assert hub.blob("devices.txt") == container.download_blob("devices.txt").readall() == b'{"id": "d"}\n'


def test_the_command_prints_the_containers_address(hub: LocalHub) -> None:
    command = (sys.executable, "-m", "ferrohub", "container-uri", "--hub")
    ran = run(*command, hub.connection_string, "--hours", "2")
    assert (ran.code, ran.err) == (0, "")
    address = hub.container_uri().split("?")[0]
    assert ran.out.startswith(f"{address}?sv=")
    job = transferred(
        IoTHubJobManager(hub.connection_string), JobProperties(type="export", output_blob_container_uri=ran.out.strip())
    )
    assert job.status == "completed"


@pytest.mark.timeout(120)
def test_a_job_goes_on_after_a_kill_and_changes_each_twin_once(tmp_path: Path) -> None:
    count = 20_000
    with LocalHub(data=tmp_path / "hub.redb", process=True) as hub:
        registry, jobs = IoTHubRegistryManager(hub.connection_string), IoTHubJobManager(hub.connection_string)
        create(registry, count)
        jobs.create_scheduled_job("j", twin_job())
        kills = 0
        while (job := jobs.get_scheduled_job("j")).status in ACTIVE:
            counts = job.device_job_statistics
            assert counts is not None
            # At another moment each time: while devices are looked for, soon after, and later.
            if (
                counts.succeeded_count is not None
                and counts.succeeded_count >= (0, 1, 5000)[min(kills, 2)]
                and kills < 3
            ):
                hub.kill()
                hub.restart()
                kills += 1
        assert kills == 3
        counts = job.device_job_statistics
        assert counts is not None
        assert (job.status, counts.succeeded_count, counts.failed_count) == ("completed", count, 0)
        once = "SELECT COUNT() AS n FROM devices WHERE properties.desired.$version = 2 AND tags.done = true"
        assert list(registry.query(once)) == [{"n": count}]
        rows = "SELECT * FROM devices.jobs WHERE jobId = 'j' AND status = 'completed'"
        assert sum(1 for _ in registry.query(rows)) == count


def test_a_scheduled_job_starts_though_the_hub_was_killed(tmp_path: Path) -> None:
    with LocalHub(data=tmp_path / "hub.redb", process=True) as hub:
        registry, jobs = IoTHubRegistryManager(hub.connection_string), IoTHubJobManager(hub.connection_string)
        create(registry, 1)
        jobs.create_scheduled_job("j", twin_job(start_time=datetime.now(timezone.utc) + timedelta(minutes=30)))
        hub.kill()
        hub.restart()
        assert jobs.get_scheduled_job("j").status == "scheduled"
        hub.faults.move_clock(1800)
        assert ended(jobs, "j").status == "completed"
        assert registry.get_twin("d00000").tags == {"done": True}
