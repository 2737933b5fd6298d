"""get_twin, 64 calls at once, each in a thread: the way to do it with azure-iot-hub.

`with manager.protocol:` would keep one connection for each thread only as long as nobody leaves the block; threads that
enter it one by one close each other's.
"""

from concurrent.futures import ThreadPoolExecutor

from azure.iot.hub import IoTHubRegistryManager
from measure import CALLS, CONNECTION_STRING, device_id, interval, measured

AT_ONCE = 64
manager = IoTHubRegistryManager.from_connection_string(CONNECTION_STRING)


def check(number: int) -> None:
    """One call."""
    twin = manager.get_twin(device_id(number))
    assert twin.device_id == device_id(number)
    assert twin.properties.desired["interval"] == interval(number)


with ThreadPoolExecutor(AT_ONCE) as pool:
    list(pool.map(check, range(AT_ONCE)))
    with measured():
        list(pool.map(check, range(CALLS)))
