"""send_c2d_message, one call after another, to many devices."""

from azure.iot.hub import IoTHubRegistryManager
from measure import CALLS, ON_STANDARD_PORTS, device_id, measured

BODY = "x" * 256
manager = IoTHubRegistryManager.from_connection_string(ON_STANDARD_PORTS)
manager.send_c2d_message(device_id(0), BODY)
with measured():
    for number in range(CALLS):
        manager.send_c2d_message(device_id(number), BODY, {"number": number})
