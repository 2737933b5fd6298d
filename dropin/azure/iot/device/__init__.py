"""Azure IoT Hub for devices and modules: the names of Microsoft's azure-iot-device, on FerroHub's core."""

from azure.iot import _ferrohub  # first: what is installed beside us, and is ferrohub there?
from ferrohub.device.clients import IoTHubDeviceClient as IoTHubDeviceClient
from ferrohub.device.clients import IoTHubModuleClient as IoTHubModuleClient
from ferrohub.device.message import Message as Message

__all__ = ["IoTHubDeviceClient", "IoTHubModuleClient", "Message"]
