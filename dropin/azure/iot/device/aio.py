"""Azure IoT Hub for devices and modules, with asyncio."""

from ferrohub.device.aio import IoTHubDeviceClient as IoTHubDeviceClient
from ferrohub.device.aio import IoTHubModuleClient as IoTHubModuleClient
from ferrohub.provisioning.aio import ProvisioningDeviceClient as ProvisioningDeviceClient

__all__ = ["IoTHubDeviceClient", "IoTHubModuleClient", "ProvisioningDeviceClient"]
