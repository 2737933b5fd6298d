"""Back-end clients of IoT Hub: the identity registry and twins.

`azure.iot.hub` shows the same names to programs written for Microsoft's package. Errors, which pull in msrest
where it is installed, are loaded when first named.
"""

from __future__ import annotations

from ferrohub.service.registry_manager import IoTHubRegistryManager
from ferrohub.service.transport_type import TransportType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.service.errors import (
        ClientRequestError,
        DeserializationError,
        HttpOperationError,
        RetriesExhaustedError,
        SerializationError,
        ValidationError,
    )
__all__ = [
    "ClientRequestError",
    "DeserializationError",
    "HttpOperationError",
    "IoTHubRegistryManager",
    "RetriesExhaustedError",
    "SerializationError",
    "TransportType",
    "ValidationError",
]


def __getattr__(name: str) -> type[Exception]:
    if name in __all__:
        from ferrohub.service import errors

        error: type[Exception] = getattr(errors, name)
        return error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
