"""Back-end clients of Azure IoT Hub, on FerroHub: same names, same behaviour as `azure-iot-hub`.

https://learn.microsoft.com/python/api/azure-iot-hub/azure.iot.hub
"""

from azure.iot import _ferrohub  # first: what is installed beside us, and is ferrohub there?
from ferrohub.service import IoTHubRegistryManager

__all__ = ["IoTHubRegistryManager"]
