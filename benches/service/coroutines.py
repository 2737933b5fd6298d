"""get_twin, 64 calls at once, with coroutines."""

import asyncio

from azure.iot.hub.aio import IoTHubRegistryManager
from measure import CALLS, CONNECTION_STRING, device_id, interval, measured

AT_ONCE = 64


async def check(manager: IoTHubRegistryManager, numbers: range) -> None:
    """Calls, one after another."""
    for number in numbers:
        twin = await manager.get_twin(device_id(number))
        assert twin.device_id == device_id(number)
        assert twin.properties.desired["interval"] == interval(number)


async def main() -> None:
    """64 such rows of calls beside one another."""
    async with IoTHubRegistryManager.from_connection_string(CONNECTION_STRING) as manager:
        await asyncio.gather(*(check(manager, range(n, n + 1)) for n in range(AT_ONCE)))
        with measured():
            await asyncio.gather(*(check(manager, range(n, CALLS, AT_ONCE)) for n in range(AT_ONCE)))


asyncio.run(main())
