"""Queries through the service client, answered by the local hub. What each query finds stands in the Rust tests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.iot.hub import IoTHubRegistryManager, aio
from azure.iot.hub.models import QuerySpecification, Twin
from ferrohub import LocalHub
from ferrohub.service import HttpOperationError

DEVICES = [f"d{number:02}" for number in range(25)]


@pytest.fixture
def fleet(registry: IoTHubRegistryManager) -> IoTHubRegistryManager:
    """25 devices, every fifth of them in the north."""
    for number, device in enumerate(DEVICES):
        registry.create_device_with_sas(device, "", "", "enabled")
        site = "south" if number % 5 else "north"
        registry.update_twin(device, Twin(tags={"site": site, "number": number, "exact": 1.0}))
    return registry


def test_the_rows_of_all_pages_come_one_after_another(fleet: IoTHubRegistryManager) -> None:
    assert [twin.device_id for twin in fleet.devices()] == DEVICES
    north = fleet.query("SELECT * FROM devices WHERE tags.site = 'north'", page_size=2)
    assert [(type(twin), twin.device_id) for twin in north] == [(Twin, device) for device in DEVICES[::5]]
    rows = list(fleet.query("SELECT tags.number, tags.exact FROM devices WHERE tags.number < 2"))
    assert repr(rows) == "[{'number': 0, 'exact': 1.0}, {'number': 1, 'exact': 1.0}]"
    groups = fleet.query("SELECT tags.site, COUNT() AS n FROM devices GROUP BY tags.site", page_size=1)
    assert list(groups) == [{"site": "north", "n": 5}, {"site": "south", "n": 20}]


def test_asyncio_managers_get_the_same_rows(hub: LocalHub, fleet: IoTHubRegistryManager) -> None:
    async def ask() -> tuple[list[Any], list[Any]]:
        async with aio.IoTHubRegistryManager(hub.connection_string) as manager:
            devices = [twin.device_id async for twin in manager.devices()]
            rows = manager.query("SELECT deviceId AS id FROM devices WHERE tags.site = 'north'", page_size=2)
            return devices, [row["id"] async for row in rows]

    assert asyncio.run(ask()) == (DEVICES, DEVICES[::5])


def test_the_call_of_the_official_package_gives_one_page_and_its_continuation(fleet: IoTHubRegistryManager) -> None:
    query = QuerySpecification(query="SELECT * FROM devices")
    first = fleet.query_iot_hub(query, None, 20)
    second = fleet.query_iot_hub(query, first.continuation_token, 20)
    assert [twin.device_id for page in (first, second) for twin in page.items] == DEVICES
    assert second.continuation_token is None


def test_a_query_that_cannot_be_read_raises_with_the_reason(registry: IoTHubRegistryManager) -> None:
    with pytest.raises(HttpOperationError, match="Expected FROM, at character 10") as raised:
        list(registry.query("SELECT * FORM devices"))
    assert raised.value.code == "ArgumentInvalid"
