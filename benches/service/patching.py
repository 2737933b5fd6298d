"""Patches of the desired properties of 100 devices, all of them in a request: what `device/patches.py` waits for."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice
from measure import CALLS, CONNECTION_STRING, PATCHED, device_id

changes = (
    ExportImportDevice(
        id=device_id(number % PATCHED), import_mode="updateTwin", properties={"desired": {"level": number}}
    )
    for number in range(CALLS // PATCHED * PATCHED)
)
with IoTHubRegistryManager.from_connection_string(CONNECTION_STRING) as manager:
    # One request after another: a device must not be in two that are on their way.
    for _ in range(CALLS // PATCHED):
        results = manager.bulk(next(changes) for _ in range(PATCHED))
        assert all(result.succeeded for result in results)
