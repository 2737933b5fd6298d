"""Back-end clients of Azure IoT Hub for asyncio: the managers of `azure.iot.hub` with coroutines for methods.

The official package has no such module.
"""

from ferrohub.service.aio import DigitalTwinClient as DigitalTwinClient
from ferrohub.service.aio import IoTHubConfigurationManager as IoTHubConfigurationManager
from ferrohub.service.aio import IoTHubHttpRuntimeManager as IoTHubHttpRuntimeManager
from ferrohub.service.aio import IoTHubJobManager as IoTHubJobManager
from ferrohub.service.aio import IoTHubRegistryManager as IoTHubRegistryManager

__all__ = [
    "DigitalTwinClient",
    "IoTHubConfigurationManager",
    "IoTHubHttpRuntimeManager",
    "IoTHubJobManager",
    "IoTHubRegistryManager",
]
