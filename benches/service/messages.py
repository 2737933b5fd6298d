"""send_c2d_message, one call after another, to many devices."""

import os

from azure.iot.hub import IoTHubRegistryManager
from measure import CALLS, ON_STANDARD_PORTS, device_id, measured

BODY = "x" * 256
manager = IoTHubRegistryManager.from_connection_string(ON_STANDARD_PORTS)
# Of a device that is another one each time: fifty messages wait for one at most.
manager.send_c2d_message(device_id(os.getpid()), BODY)
with measured():
    for number in range(CALLS):
        manager.send_c2d_message(device_id(number), BODY, {"number": number})
