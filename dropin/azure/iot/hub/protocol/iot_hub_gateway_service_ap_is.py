"""The client of the REST interface, and its groups of operations."""

from ferrohub.service.protocol import (
    BulkRegistryOperations,
    CloudToDeviceMessagesOperations,
    ConfigurationOperations,
    DevicesOperations,
    DigitalTwinOperations,
    IotHubGatewayServiceAPIs,
    IotHubGatewayServiceAPIsConfiguration,
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
    "IotHubGatewayServiceAPIs",
    "IotHubGatewayServiceAPIsConfiguration",
    "JobsOperations",
    "ModulesOperations",
    "QueryOperations",
    "StatisticsOperations",
]
