"""Calls of one device's direct method, 64 at once: what `device/methods.py` answers."""

import asyncio

from azure.iot.hub.aio import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod
from measure import AT_ONCE, CALLS, CONNECTION_STRING, device_id


async def call(manager: IoTHubRegistryManager, numbers: range) -> None:
    """Calls, one after another."""
    for number in numbers:
        method = CloudToDeviceMethod(method_name="set", payload={"interval": number})
        result = await manager.invoke_device_method(device_id(0), method)
        assert (result.status, result.payload) == (200, {"interval": number})


async def main() -> None:
    """64 such rows of calls beside one another."""
    async with IoTHubRegistryManager.from_connection_string(CONNECTION_STRING) as manager:
        await asyncio.gather(*(call(manager, range(n, CALLS, AT_ONCE)) for n in range(AT_ONCE)))


asyncio.run(main())
