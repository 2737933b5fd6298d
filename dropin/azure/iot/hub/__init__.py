"""Back-end clients of Azure IoT Hub, on FerroHub: same names, same behaviour as `azure-iot-hub`.

https://learn.microsoft.com/python/api/azure-iot-hub/azure.iot.hub
"""

from azure.iot import _ferrohub  # first: what is installed beside us, and is ferrohub there?
from ferrohub._submodules import submodules
from ferrohub.service import MANAGERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.hub import aio as aio
    from azure.iot.hub import auth as auth
    from azure.iot.hub import connection_string as connection_string
    from azure.iot.hub import constant as constant
    from azure.iot.hub import models as models
    from azure.iot.hub import protocol as protocol
    from azure.iot.hub import sastoken as sastoken
    from ferrohub.service import DigitalTwinClient as DigitalTwinClient
    from ferrohub.service import IoTHubConfigurationManager as IoTHubConfigurationManager
    from ferrohub.service import IoTHubHttpRuntimeManager as IoTHubHttpRuntimeManager
    from ferrohub.service import IoTHubJobManager as IoTHubJobManager
    from ferrohub.service import IoTHubRegistryManager as IoTHubRegistryManager

__all__ = [
    "DigitalTwinClient",
    "IoTHubConfigurationManager",
    "IoTHubHttpRuntimeManager",
    "IoTHubJobManager",
    "IoTHubRegistryManager",
]

__getattr__ = submodules(
    __name__, "aio", "auth", "connection_string", "constant", "models", "protocol", "sastoken", elsewhere=MANAGERS
)
