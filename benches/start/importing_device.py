"""What it takes to import what programs of a device import."""

from measure import measured

with measured(1):
    from azure.iot.device import IoTHubDeviceClient, Message  # noqa: F401 - that is all
