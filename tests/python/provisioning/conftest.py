"""Fixtures of the provisioning tests: both sorts of client, and what they are made from."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from azure.iot import device as synchronous
from azure.iot.device import aio
from ferrohub import LocalHub

SECONDS = 20
"""No test waits longer than this for anything."""


@dataclass
class Sort:
    """A sort of client: synchronous or asyncio."""

    sdk: ModuleType
    hub: LocalHub

    @property
    def cls(self) -> Any:
        return self.sdk.ProvisioningDeviceClient

    def client(self, registration_id: str, key: str, **options: Any) -> Any:
        """A client with a key."""
        hub = self.hub
        return self.cls.create_from_symmetric_key(hub.provisioning_host, registration_id, hub.id_scope, key, **options)

    def enrolled(self, registration_id: str, **enrollment: Any) -> Any:
        """A client whose device is enrolled."""
        key = self.hub.dps.enroll(registration_id, **enrollment).device_key(registration_id)
        return self.client(registration_id, key)

    def register(self, client: Any, **arguments: Any) -> Any:
        """The outcome of a registration."""
        return outcome(lambda: client.register(**arguments))


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or what the coroutine does that it returns."""

    async def awaited() -> Any:
        value = call()
        return await asyncio.wait_for(value, SECONDS) if inspect.isawaitable(value) else value

    return asyncio.run(awaited())


@pytest.fixture(params=[synchronous, aio], ids=["sync", "aio"])
def sort(request: pytest.FixtureRequest, hub: LocalHub) -> Sort:
    """Each sort of client."""
    return Sort(request.param, hub)
