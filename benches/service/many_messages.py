"""send_c2d_messages, a thousand messages a call, to many devices: azure-iot-hub has nothing of the kind."""

import os

from azure.iot.hub import IoTHubRegistryManager
from measure import CALLS, ON_STANDARD_PORTS, device_id, measured

AT_ONCE = 1000
BODY = "x" * 256
manager = IoTHubRegistryManager.from_connection_string(ON_STANDARD_PORTS)
# Of a device that is another one each time: fifty messages wait for one at most.
manager.send_c2d_message(device_id(os.getpid()), BODY)
with measured():
    for first in range(0, CALLS, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, CALLS))
        outcomes = manager.send_c2d_messages([(device_id(number), BODY, {"number": number}) for number in numbers])
        assert outcomes == [None] * len(numbers)
