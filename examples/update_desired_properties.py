"""Change a desired property of the module's twin; print the twin's properties before and after.

Run it:

    export IOTHUB_CONNECTION_STRING='...'
    python update_desired_properties.py [telemetry interval]
"""

from __future__ import annotations

import os
import sys

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

DEVICE_ID = "myFirstDevice"
MODULE_ID = "myFirstModule"


def main() -> None:
    """Read, change, show."""
    telemetry_interval = int(sys.argv[1]) if len(sys.argv) > 1 else 122
    registry = IoTHubRegistryManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])

    twin = registry.get_module_twin(DEVICE_ID, MODULE_ID)
    print(f"before: {twin.properties}")

    # A patch holds only what changes. The ETag makes the hub refuse it (412) if someone changed the twin in between.
    patch = Twin(properties=TwinProperties(desired={"telemetryInterval": telemetry_interval}))
    updated = registry.update_module_twin(DEVICE_ID, MODULE_ID, patch, twin.etag)
    print(f"after: {updated.properties}")


if __name__ == "__main__":
    main()
