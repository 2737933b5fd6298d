"""The hub is killed with -9: nothing it has answered is lost, and who waits on it goes on without being touched."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import Configuration, ConfigurationContent, ExportImportDevice, Twin, TwinProperties
from ferrohub import LocalHub
from msrest.exceptions import ClientException
from support import DEVICE, MODULE, PATCH_TOPIC, RECEIVE, Program, tutorial_script

WRITERS = 8
WRITES = 10_000
KILL_AT = (2_000, 5_000, 8_000)  # answered writes
CONFIGURED = 3_000


def test_a_waiting_receiver_gets_the_next_update_once(tmp_path: Path) -> None:
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        script = tutorial_script(RECEIVE, hub.module_connection_string(DEVICE, MODULE), tmp_path)
        with Program(sys.executable, script) as receiver:
            hub.wait_subscribed(DEVICE, MODULE, PATCH_TOPIC)
            update(registry, 122)
            assert receiver.wait_for(r"^\{") == "{'telemetryInterval': 122, '$version': 2}"
            hub.kill()
            hub.restart()
            update(registry, 123)
            assert "'telemetryInterval': 123" in receiver.wait_for(r"^\{")
            # One more, which comes after any second copy of the one before.
            update(registry, 124)
            assert "'telemetryInterval': 124" in receiver.wait_for(r"^\{")
            receiver.interrupt()
            ended = receiver.finish()
        assert [ended.out.count(str(interval)) for interval in (122, 123, 124)] == [1, 1, 1]
        assert ended.err == ""


def update(registry: IoTHubRegistryManager, interval: int) -> None:
    registry.update_module_twin(
        DEVICE, MODULE, Twin(properties=TwinProperties(desired={"telemetryInterval": interval})), "*"
    )


class Ledger:
    """What the hub has answered, kept where its death can't reach; wakes the killer at each mark."""

    def __init__(self) -> None:
        self.etags: dict[str, str] = {}
        self._changed = threading.Condition()

    def answered(self, device_id: str, etag: str) -> None:
        with self._changed:
            self.etags[device_id] = etag
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.etags) >= count, timeout=120)


def write_all(hub: LocalHub, up: threading.Event, ledger: Ledger, device_ids: list[str]) -> None:
    """Create each device; while the hub is down wait for it, then try again under another name."""
    registry = IoTHubRegistryManager(hub.connection_string)
    for device_id in device_ids:
        attempt = 0
        while True:
            name = f"{device_id}-{attempt}"
            try:
                ledger.answered(name, registry.create_device_with_sas(name, "", "", "enabled").etag)
                break
            except ClientException:
                attempt += 1  # No answer: whether it was written is not known, so the ledger says nothing.
                assert up.wait(60)


@pytest.mark.timeout(240)
def test_every_answered_write_survives(tmp_path: Path) -> None:
    ledger, up = Ledger(), threading.Event()
    up.set()
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub, ThreadPoolExecutor(WRITERS) as pool:
        shares = [[f"device-{n}" for n in range(writer, WRITES, WRITERS)] for writer in range(WRITERS)]
        writers = [pool.submit(write_all, hub, up, ledger, share) for share in shares]
        for mark in KILL_AT:
            ledger.wait_for(mark)
            up.clear()
            hub.kill()
            hub.restart()
            up.set()
        for writer in writers:
            writer.result()

        hub.kill()
        hub.restart()
        registry = IoTHubRegistryManager(hub.connection_string)
        assert len(ledger.etags) == WRITES
        kept = dict(zip(ledger.etags, pool.map(lambda name: registry.get_device(name).etag, ledger.etags)))
        assert kept == ledger.etags


def configuration(name: str, condition: str, **desired: int) -> Configuration:
    content = {f"properties.desired.{key}": value for key, value in desired.items()}
    return Configuration(
        id=name, target_condition=condition, content=ConfigurationContent(device_content=content), priority=len(desired)
    )


def applied(manager: IoTHubConfigurationManager, name: str) -> int:
    metrics = manager.get_configuration(name).system_metrics
    assert metrics is not None
    assert metrics.results is not None
    return int(metrics.results["appliedCount"])


def wait_until_applied(manager: IoTHubConfigurationManager, name: str, wanted: int) -> None:
    end = time.monotonic() + 60
    while (count := applied(manager, name)) != wanted:
        assert time.monotonic() < end, f"{name} is applied to {count} devices, not {wanted}"


@pytest.mark.timeout(180)
def test_configurations_that_were_being_applied_are_applied_once_to_each(tmp_path: Path) -> None:
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        manager = IoTHubConfigurationManager(hub.connection_string)
        devices = [
            ExportImportDevice(id=f"d{number}", import_mode="create", tags={"even": number % 2 == 0})
            for number in range(CONFIGURED)
        ]
        assert all(result.succeeded for result in registry.bulk(devices))

        manager.create_configuration(configuration("all", "*", a=1))
        hub.kill()
        hub.restart()
        wait_until_applied(manager, "all", CONFIGURED)

        # Killed at once, and again while it goes on.
        manager.create_configuration(configuration("even", "tags.even = true", a=2, b=2))
        hub.kill()
        hub.restart()
        applied(manager, "even")
        hub.kill()
        hub.restart()
        wait_until_applied(manager, "even", CONFIGURED // 2)

        # A twin that has come to be one of them, and of which the hub has said so.
        registry.update_twin("d1", Twin(tags={"even": True}))
        hub.kill()
        hub.restart()
        wait_until_applied(manager, "even", CONFIGURED // 2 + 1)

        # The version tells how often each has been written.
        found = {twin.device_id: twin.properties.desired for twin in registry.devices()}
        for number in range(CONFIGURED):
            desired = found[f"d{number}"]
            values = {"a": 2, "b": 2} if number % 2 == 0 or number == 1 else {"a": 1}
            version = len(values) + 1
            assert {key: desired[key] for key in ("a", "b") if key in desired} == values
            assert (f"d{number}", desired["$version"]) == (f"d{number}", version)
