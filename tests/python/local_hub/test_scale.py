"""A hundred thousand devices: created, queried, changed by a job and deleted, and a hub that is killed meanwhile.

`make test` does a tenth of it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice, JobRequest, JobResponse, QuerySpecification, Twin
from ferrohub import LocalHub
from ferrohub.service import RetryPolicy

DEVICES = 100_000
PER_DEVICE = 3_000
"""Bytes that a hub may take for a device that does nothing."""
FLAT = 32_000_000
"""Bytes by which a client may grow, however many devices there are; a page of twins takes about ten of them."""

Scaled = Callable[[int], int]


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def names(number: int) -> Iterator[str]:
    return (f"device-{index:06}" for index in range(number))


def changes(mode: str, number: int) -> Iterator[ExportImportDevice]:
    return (ExportImportDevice(id=name, import_mode=mode, status="enabled") for name in names(number))


def all_done(registry: IoTHubRegistryManager, mode: str, number: int) -> bool:
    results = registry.bulk(changes(mode, number))
    return len(results) == number and all(result.succeeded for result in results)


def tag_all(jobs: IoTHubJobManager, name: str) -> None:
    request = JobRequest(
        job_id=name, type="scheduleUpdateTwin", update_twin=Twin(etag="*", tags={"job": name}), query_condition="*"
    )
    jobs.create_scheduled_job(name, request)


def ended(jobs: IoTHubJobManager, name: str) -> JobResponse:
    """The job when it has ended; asked for again and again, which is no more than a program would do."""
    while (job := jobs.get_scheduled_job(name)).status not in ("completed", "failed", "cancelled"):
        pass
    return job


def count(registry: IoTHubRegistryManager, condition: str) -> int:
    query = QuerySpecification(query=f"SELECT COUNT() AS n FROM devices WHERE {condition}")  # noqa: S608 - there is no other way
    (row,) = registry.query(query)
    found: int = row["n"]
    return found


def test_many_devices_are_created_queried_changed_by_a_job_and_deleted(scaled: Scaled, tmp_path: Path) -> None:
    number = scaled(DEVICES)
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        jobs = IoTHubJobManager(hub.connection_string)
        assert count(registry, "true") == 0
        of_hub, own = memory(hub.pid), memory(os.getpid())

        assert all_done(registry, "create", number)
        assert (memory(hub.pid) - of_hub) / number <= PER_DEVICE

        for name, twin in zip_longest(names(number), registry.query("SELECT * FROM devices")):
            assert twin.device_id == name
        tag_all(jobs, "tag")
        assert ended(jobs, "tag").device_job_statistics.succeeded_count == number
        assert count(registry, "tags.job = 'tag'") == number

        assert all_done(registry, "delete", number)
        assert registry.get_device_registry_statistics().total_device_count == 0
        assert memory(os.getpid()) - own <= FLAT


def test_what_was_answered_is_there_after_a_kill(scaled: Scaled, tmp_path: Path) -> None:
    number = scaled(DEVICES)
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        registry = IoTHubRegistryManager(hub.connection_string, retry=RetryPolicy(attempts=1))
        jobs = IoTHubJobManager(hub.connection_string, retry=RetryPolicy(attempts=1))

        def kill_in_the_middle(done: int, _total: int | None) -> None:
            if done == number // 2:
                hub.kill()

        results = registry.bulk(changes("create", number), progress=kill_in_the_middle)
        hub.restart()
        answered = {result.device_id for result in results if result.succeeded}
        assert number // 2 <= len(answered) < number
        assert answered <= {twin.device_id for twin in registry.query("SELECT * FROM devices")}

        left = [ExportImportDevice(id=name, import_mode="create") for name in names(number) if name not in answered]
        again = registry.bulk(left)
        # What was done without an answer that came is there already.
        assert all(result.succeeded or result.error_code == "DeviceAlreadyExists" for result in again)
        assert registry.get_device_registry_statistics().total_device_count == number

        tag_all(jobs, "tag")
        while (jobs.get_scheduled_job("tag").device_job_statistics.succeeded_count or 0) == 0:
            pass
        hub.kill()
        hub.restart()
        job = ended(jobs, "tag")
        assert (job.status, job.device_job_statistics.succeeded_count) == ("completed", number)
        assert count(registry, "tags.job = 'tag'") == number
