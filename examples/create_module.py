"""Create a device and a module on it, and print their keys. Running it again finds them and prints the same keys.

Run it:

    export IOTHUB_CONNECTION_STRING='...'     # `ferrohub up` prints one; the Azure portal shows it for a real hub
    python create_module.py
"""

from __future__ import annotations

import os

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Device, Module
from msrest.exceptions import HttpOperationError

DEVICE_ID = "myFirstDevice"
MODULE_ID = "myFirstModule"
CONFLICT = 409  # the hub's answer to creating what is there already


def create_or_get_device(registry: IoTHubRegistryManager) -> Device:
    """The device, with keys made by the hub: empty keys in the request ask for that."""
    try:
        return registry.create_device_with_sas(DEVICE_ID, primary_key="", secondary_key="", status="enabled")
    except HttpOperationError as error:
        if error.response.status_code != CONFLICT:
            raise
        return registry.get_device(DEVICE_ID)


def create_or_get_module(registry: IoTHubRegistryManager) -> Module:
    """The module identity: it has keys, a twin and a connection of its own beside the device's."""
    try:
        return registry.create_module_with_sas(DEVICE_ID, MODULE_ID, managed_by="", primary_key="", secondary_key="")
    except HttpOperationError as error:
        if error.response.status_code != CONFLICT:
            raise
        return registry.get_module(DEVICE_ID, MODULE_ID)


def main() -> None:
    """Create both, then show what a module's connection string is made of."""
    registry = IoTHubRegistryManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])
    device = create_or_get_device(registry)
    print(f"device <{DEVICE_ID}> has primary key = {device.authentication.symmetric_key.primary_key}")
    module = create_or_get_module(registry)
    print(
        f"device/module <{DEVICE_ID}/{MODULE_ID}> has primary key = {module.authentication.symmetric_key.primary_key}"
    )


if __name__ == "__main__":
    main()
