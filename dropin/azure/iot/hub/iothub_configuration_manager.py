"""The configuration manager."""

from ferrohub.service.configuration_manager import IoTHubConfigurationManager

__all__ = ["IoTHubConfigurationManager"]
