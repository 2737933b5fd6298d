"""The synchronous clients."""

from ferrohub.device.clients import GenericIoTHubClient as GenericIoTHubClient
from ferrohub.device.clients import IoTHubDeviceClient as IoTHubDeviceClient
from ferrohub.device.clients import IoTHubModuleClient as IoTHubModuleClient
