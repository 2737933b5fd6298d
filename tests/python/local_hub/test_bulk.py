"""Changes of many identities through the service client, done by the local hub."""

from __future__ import annotations

import asyncio
from typing import Any

from azure.iot.hub import IoTHubRegistryManager, aio
from azure.iot.hub.models import ExportImportDevice
from ferrohub import LocalHub
from ferrohub.service.fleet import DeviceResult


def changes(mode: str, count: int = 250) -> list[ExportImportDevice]:
    return [ExportImportDevice(id=f"d{number:03}", import_mode=mode, tags={"n": number}) for number in range(count)]


def failures(results: list[DeviceResult]) -> list[tuple[Any, Any]]:
    return [(result.device_id, result.error_code) for result in results if not result.succeeded]


def test_bulk_creates_changes_and_deletes_any_number_of_devices(registry: IoTHubRegistryManager) -> None:
    assert failures(registry.bulk(changes("create"))) == []
    assert [row["n"] for row in registry.query("SELECT tags.n FROM devices")] == list(range(250))
    again = failures(registry.bulk(changes("create", 251)))
    assert again == [(f"d{number:03}", "DeviceAlreadyExists") for number in range(250)]
    assert failures(registry.bulk(changes("delete", 251))) == []
    assert list(registry.devices()) == []


def test_asyncio_managers_do_the_same(hub: LocalHub) -> None:
    async def create() -> tuple[list[DeviceResult], int]:
        async with aio.IoTHubRegistryManager(hub.connection_string) as manager:
            results = await manager.bulk(changes("create"))
            return results, len([twin async for twin in manager.devices()])

    results, count = asyncio.run(create())
    assert (failures(results), count) == ([], 250)


def test_the_call_of_the_official_package_tells_what_failed(registry: IoTHubRegistryManager) -> None:
    registry.create_device_with_sas("d000", "", "", "enabled")
    result = registry.bulk_create_or_update_devices(changes("create", 2))
    assert result.is_successful is False
    assert [(error.device_id, error.error_code) for error in result.errors] == [("d000", "DeviceAlreadyExists")]
    assert registry.get_device("d001").status == "enabled"
