"""The asyncio clients of a hub."""

from ferrohub.device.aio import IoTHubDeviceClient as IoTHubDeviceClient
from ferrohub.device.aio import IoTHubModuleClient as IoTHubModuleClient

__all__ = ["IoTHubDeviceClient", "IoTHubModuleClient"]
