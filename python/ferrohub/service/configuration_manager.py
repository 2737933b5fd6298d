"""`IoTHubConfigurationManager`: automatic device configurations and IoT Edge deployments.

Its methods are declared in `ferrohub.service.calls`.
"""

from __future__ import annotations

from ferrohub.service.calls.configurations import ConfigurationCalls
from ferrohub.service.manager import Manager, blocking


class IoTHubConfigurationManager(Manager):
    """Automatic device configurations and IoT Edge deployments."""

    get_configuration = blocking(ConfigurationCalls.get_configuration)
    create_configuration = blocking(ConfigurationCalls.create_configuration)
    update_configuration = blocking(ConfigurationCalls.update_configuration)
    delete_configuration = blocking(ConfigurationCalls.delete_configuration)
    get_configurations = blocking(ConfigurationCalls.get_configurations)
    test_configuration_queries = blocking(ConfigurationCalls.test_configuration_queries)
    apply_configuration_on_edge_device = blocking(ConfigurationCalls.apply_configuration_on_edge_device)
