"""Messages and direct methods."""

from azure.iot.device.iothub.models.message import Message as Message
from azure.iot.device.iothub.models.methods import MethodRequest as MethodRequest
from azure.iot.device.iothub.models.methods import MethodResponse as MethodResponse
