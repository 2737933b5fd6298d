"""Back-end clients of IoT Hub: identities, twins, methods, configurations, jobs and digital twins.

`azure.iot.hub` shows the same names to programs written for Microsoft's package; `aio` has the managers for asyncio.
Everything is loaded when it is first named: a program pays for the managers that it uses, and for msrest, where that is
installed, at its first error.
"""

from __future__ import annotations

from ferrohub._submodules import submodules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.service import aio as aio
    from ferrohub.service.configuration_manager import IoTHubConfigurationManager
    from ferrohub.service.digital_twin_client import DigitalTwinClient
    from ferrohub.service.errors import (
        ClientRequestError,
        DeserializationError,
        HttpOperationError,
        RetriesExhaustedError,
        SerializationError,
        ValidationError,
    )
    from ferrohub.service.events import Event, EventReader
    from ferrohub.service.http_runtime_manager import IoTHubHttpRuntimeManager
    from ferrohub.service.job_manager import IoTHubJobManager
    from ferrohub.service.notifications import FeedbackRecord, FileNotification
    from ferrohub.service.registry_manager import IoTHubRegistryManager
    from ferrohub.service.retry import RetryPolicy
    from ferrohub.service.transport_type import TransportType

__all__ = [
    "ClientRequestError",
    "DeserializationError",
    "DigitalTwinClient",
    "Event",
    "EventReader",
    "FeedbackRecord",
    "FileNotification",
    "HttpOperationError",
    "IoTHubConfigurationManager",
    "IoTHubHttpRuntimeManager",
    "IoTHubJobManager",
    "IoTHubRegistryManager",
    "RetriesExhaustedError",
    "RetryPolicy",
    "SerializationError",
    "TransportType",
    "ValidationError",
]

MANAGERS = {
    "DigitalTwinClient": "ferrohub.service.digital_twin_client",
    "IoTHubConfigurationManager": "ferrohub.service.configuration_manager",
    "IoTHubHttpRuntimeManager": "ferrohub.service.http_runtime_manager",
    "IoTHubJobManager": "ferrohub.service.job_manager",
    "IoTHubRegistryManager": "ferrohub.service.registry_manager",
}
"""The module of each manager."""

__getattr__ = submodules(
    __name__,
    "aio",
    elsewhere={
        **dict.fromkeys(__all__, "ferrohub.service.errors"),
        **MANAGERS,
        **dict.fromkeys(("Event", "EventReader"), "ferrohub.service.events"),
        **dict.fromkeys(("FeedbackRecord", "FileNotification"), "ferrohub.service.notifications"),
        "RetryPolicy": "ferrohub.service.retry",
        "TransportType": "ferrohub.service.transport_type",
    },
)
