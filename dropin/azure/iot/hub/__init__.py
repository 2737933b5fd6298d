"""Back-end clients of Azure IoT Hub, on FerroHub: same names, same behaviour as `azure-iot-hub`.

https://learn.microsoft.com/python/api/azure-iot-hub/azure.iot.hub
"""

from ferrohub.service import IoTHubRegistryManager

__all__ = ["IoTHubRegistryManager"]
