"""Patches of one device's desired properties, 64 at once: what `device/patches.py` waits for."""

import asyncio

from azure.iot.hub.aio import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from measure import AT_ONCE, CALLS, CONNECTION_STRING


async def patch(manager: IoTHubRegistryManager, numbers: range) -> None:
    """Patches, one after another."""
    for number in numbers:
        await manager.update_twin("bench", Twin(properties=TwinProperties(desired={"interval": number})), "*")


async def main() -> None:
    """64 such rows of patches beside one another."""
    async with IoTHubRegistryManager.from_connection_string(CONNECTION_STRING) as manager:
        await asyncio.gather(*(patch(manager, range(n, CALLS, AT_ONCE)) for n in range(AT_ONCE)))


asyncio.run(main())
