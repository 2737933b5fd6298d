"""What it takes to import what programs of a back end import."""

from measure import measured

with measured(1):
    from azure.iot.hub import IoTHubRegistryManager  # noqa: F401 - that is all
    from azure.iot.hub.models import Twin, TwinProperties  # noqa: F401
