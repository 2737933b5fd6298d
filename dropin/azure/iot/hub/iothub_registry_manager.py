"""The registry manager and the names programs import beside it."""

from ferrohub.service.models import AuthenticationMechanism, Device, DeviceCapabilities, Module, SymmetricKey
from ferrohub.service.registry_manager import IoTHubRegistryManager
from ferrohub.service.transport_type import TransportType

__all__ = [
    "AuthenticationMechanism",
    "Device",
    "DeviceCapabilities",
    "IoTHubRegistryManager",
    "Module",
    "SymmetricKey",
    "TransportType",
]
