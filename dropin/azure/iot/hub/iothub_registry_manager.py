"""The registry manager and the names programs import beside it."""

from ferrohub.service.calls.registry import QueryResult
from ferrohub.service.models import (
    AuthenticationMechanism,
    Device,
    DeviceCapabilities,
    Module,
    SymmetricKey,
    X509Thumbprint,
)
from ferrohub.service.registry_manager import IoTHubRegistryManager
from ferrohub.service.transport_type import TransportType

__all__ = [
    "AuthenticationMechanism",
    "Device",
    "DeviceCapabilities",
    "IoTHubRegistryManager",
    "Module",
    "QueryResult",
    "SymmetricKey",
    "TransportType",
    "X509Thumbprint",
]
