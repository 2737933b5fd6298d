"""Clients of a hub and their models."""

from ferrohub._submodules import submodules
from ferrohub.device.clients import IoTHubDeviceClient, IoTHubModuleClient
from ferrohub.device.message import Message
from ferrohub.device.methods import MethodRequest, MethodResponse

__all__ = ["IoTHubDeviceClient", "IoTHubModuleClient", "Message", "MethodRequest", "MethodResponse"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.device.iothub import abstract_clients as abstract_clients
    from azure.iot.device.iothub import aio as aio
    from azure.iot.device.iothub import edge_hsm as edge_hsm
    from azure.iot.device.iothub import models as models
    from azure.iot.device.iothub import sync_clients as sync_clients

__getattr__ = submodules(__name__, "abstract_clients", "aio", "edge_hsm", "models", "sync_clients")
