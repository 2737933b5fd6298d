"""Every twin of the hub by a query, in pages of 1000."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification
from measure import CALLS, CONNECTION_STRING, DEVICES, measured

manager = IoTHubRegistryManager.from_connection_string(CONNECTION_STRING)
manager.get_twin("device-000000")
with manager.protocol, measured(CALLS * DEVICES):
    for _ in range(CALLS):
        found: set[tuple[str, int]] = set()
        token = None
        while True:
            page = manager.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), token, 1000)
            found.update((twin.device_id, twin.tags["floor"]) for twin in page.items)
            token = page.continuation_token
            if token is None:
                break
        assert len(found) == DEVICES
