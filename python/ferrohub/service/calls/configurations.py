"""Calls about automatic device configurations and IoT Edge deployments.

https://learn.microsoft.com/azure/iot-hub/iot-hub-automatic-device-management
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask
from ferrohub.service.calls.creation import create

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.service.calls import Call
    from ferrohub.service.models import (
        Configuration,
        ConfigurationContent,
        ConfigurationQueriesTestInput,
        ConfigurationQueriesTestResponse,
    )


class ConfigurationCalls:
    """Create, read, update and delete configurations. Here an etag is sent as it is: the hub wants it in quotes."""

    def get_configuration(self, configuration_id: str, *, timeout: float | None = None) -> Call[Configuration]:
        """A configuration. 404 if there is none."""
        return ask(operations.GET_CONFIGURATION, (configuration_id,), timeout=timeout)

    def create_configuration(
        self, configuration: Configuration, *, timeout: float | None = None
    ) -> Call[Configuration]:
        """Create a configuration under its `id`. 409 if it exists."""
        put, get = operations.PUT_CONFIGURATION, operations.GET_CONFIGURATION
        return create(put, get, (configuration.id,), configuration, timeout)

    def update_configuration(
        self, configuration: Configuration, etag: str | None, *, timeout: float | None = None
    ) -> Call[Configuration]:
        """Replace a configuration, if its etag is still this one. 404, 412. With None it is a create."""
        path = (configuration.id,)
        return ask(operations.PUT_CONFIGURATION, path, body=configuration, if_match=etag, timeout=timeout)

    def delete_configuration(
        self, configuration_id: str, etag: str | None = None, *, timeout: float | None = None
    ) -> Call[None]:
        """Delete a configuration, if its etag is still this one; with None in any case. 404, 412."""
        if_match = "*" if etag is None else etag
        return ask(operations.DELETE_CONFIGURATION, (configuration_id,), if_match=if_match, timeout=timeout)

    def get_configurations(
        self, max_count: int | None = None, *, timeout: float | None = None
    ) -> Call[list[Configuration]]:
        """Configurations: as many as asked for."""
        return ask(operations.GET_CONFIGURATIONS, options=(max_count,), timeout=timeout)

    def test_configuration_queries(
        self,
        configuration_queries_test_input: ConfigurationQueriesTestInput | dict[str, Any],
        *,
        timeout: float | None = None,
    ) -> Call[ConfigurationQueriesTestResponse]:
        """Check a target condition and metric queries; the result has the error of each that is wrong."""
        body = configuration_queries_test_input
        return ask(operations.TEST_CONFIGURATION_QUERIES, body=body, timeout=timeout)

    def apply_configuration_on_edge_device(
        self,
        device_id: str,
        configuration_content: ConfigurationContent | dict[str, Any],
        *,
        timeout: float | None = None,
    ) -> Call[None]:
        """Put the modules' desired properties of this content on one IoT Edge device. 404."""
        return ask(operations.APPLY_CONFIGURATION, (device_id,), body=configuration_content, timeout=timeout)
