"""Back-end clients of Azure IoT Hub for asyncio: the managers of `azure.iot.hub` with coroutines for methods.

The official package has no such module.
"""

from ferrohub.service.aio import *
