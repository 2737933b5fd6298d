"""What the clients, synchronous and asyncio, are instances of."""

from ferrohub.device.abstract_clients import AbstractIoTHubClient as AbstractIoTHubClient
from ferrohub.device.abstract_clients import AbstractIoTHubDeviceClient as AbstractIoTHubDeviceClient
from ferrohub.device.abstract_clients import AbstractIoTHubModuleClient as AbstractIoTHubModuleClient
