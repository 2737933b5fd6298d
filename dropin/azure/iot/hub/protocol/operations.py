"""The operations of the REST interface, by group."""

from ferrohub.service.protocol import (
    BulkRegistryOperations,
    CloudToDeviceMessagesOperations,
    ConfigurationOperations,
    DevicesOperations,
    DigitalTwinOperations,
    JobsOperations,
    ModulesOperations,
    QueryOperations,
    StatisticsOperations,
)

__all__ = [
    "BulkRegistryOperations",
    "CloudToDeviceMessagesOperations",
    "ConfigurationOperations",
    "DevicesOperations",
    "DigitalTwinOperations",
    "JobsOperations",
    "ModulesOperations",
    "QueryOperations",
    "StatisticsOperations",
]
