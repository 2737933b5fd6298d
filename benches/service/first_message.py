"""The first send_c2d_message of a manager: connecting, the token and the link included."""

from azure.iot.hub import IoTHubRegistryManager
from measure import ON_STANDARD_PORTS, device_id, measured

manager = IoTHubRegistryManager.from_connection_string(ON_STANDARD_PORTS)
with measured():
    manager.send_c2d_message(device_id(0), "hello")
