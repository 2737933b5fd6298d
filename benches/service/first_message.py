"""The first send_c2d_message of a manager: connecting, the token and the link included."""

import os

from azure.iot.hub import IoTHubRegistryManager
from measure import ON_STANDARD_PORTS, device_id, measured

manager = IoTHubRegistryManager.from_connection_string(ON_STANDARD_PORTS)
# Of a device that is another one each time: fifty messages wait for one at most.
device = device_id(os.getpid())
with measured():
    manager.send_c2d_message(device, "hello")
