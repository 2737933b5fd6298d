"""Azure IoT Hub for devices and modules: the names of Microsoft's azure-iot-device, on FerroHub's core.

https://learn.microsoft.com/python/api/azure-iot-device/azure.iot.device
"""

from azure.iot import _ferrohub  # first: what is installed beside us, and is ferrohub there?
from ferrohub._submodules import submodules
from ferrohub.device.clients import IoTHubDeviceClient, IoTHubModuleClient
from ferrohub.device.message import Message
from ferrohub.device.methods import MethodRequest, MethodResponse
from ferrohub.device.proxy_options import ProxyOptions
from ferrohub.device.x509 import X509
from ferrohub.provisioning.clients import ProvisioningDeviceClient
from ferrohub.provisioning.registration_result import RegistrationResult

__all__ = [
    "X509",
    "IoTHubDeviceClient",
    "IoTHubModuleClient",
    "Message",
    "MethodRequest",
    "MethodResponse",
    "ProvisioningDeviceClient",
    "ProxyOptions",
    "RegistrationResult",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.device import aio as aio
    from azure.iot.device import common as common
    from azure.iot.device import constant as constant
    from azure.iot.device import custom_typing as custom_typing
    from azure.iot.device import exceptions as exceptions
    from azure.iot.device import iothub as iothub
    from azure.iot.device import provisioning as provisioning
    from azure.iot.device import user_agent as user_agent

__getattr__ = submodules(
    __name__, "aio", "common", "constant", "custom_typing", "exceptions", "iothub", "provisioning", "user_agent"
)
