"""The provisioning service."""

from ferrohub._submodules import submodules
from ferrohub.provisioning.clients import ProvisioningDeviceClient
from ferrohub.provisioning.registration_result import RegistrationResult

__all__ = ["ProvisioningDeviceClient", "RegistrationResult"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.device.provisioning import abstract_provisioning_device_client as abstract_provisioning_device_client
    from azure.iot.device.provisioning import aio as aio
    from azure.iot.device.provisioning import models as models
    from azure.iot.device.provisioning import provisioning_device_client as provisioning_device_client

__getattr__ = submodules(__name__, "abstract_provisioning_device_client", "aio", "models", "provisioning_device_client")
