"""From the start of the process to the first twin."""

from azure.iot.hub import IoTHubRegistryManager
from measure import CONNECTION_STRING, device_id, since_start

twin = IoTHubRegistryManager.from_connection_string(CONNECTION_STRING).get_twin(device_id(0))
assert twin.device_id == device_id(0)
since_start()
