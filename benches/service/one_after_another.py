"""get_twin, one call after another, as programs write it."""

from azure.iot.hub import IoTHubRegistryManager
from measure import CALLS, CONNECTION_STRING, device_id, interval, measured

manager = IoTHubRegistryManager.from_connection_string(CONNECTION_STRING)
manager.get_twin(device_id(0))
with measured():
    for number in range(CALLS):
        twin = manager.get_twin(device_id(number))
        assert twin.device_id == device_id(number)
        assert twin.properties.desired["interval"] == interval(number)
