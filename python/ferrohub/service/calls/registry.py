"""Calls about many devices at once: bulk changes, statistics, queries.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask
from ferrohub.service.operation import interpret, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Union

    from ferrohub.service.calls import Call
    from ferrohub.service.models import (
        BulkRegistryOperationResult,
        ExportImportDevice,
        QuerySpecification,
        RegistryStatistics,
        ServiceStatistics,
        Twin,
    )

    Query = Union[QuerySpecification, dict[str, Any]]


class QueryResult:
    """One page of a query: its `items`, their `type`, and a `continuation_token` if there are more."""

    type: str | None
    items: list[Twin] | Any
    continuation_token: str | None

    def __init__(self, **kwargs: Any) -> None:
        self.type = kwargs.get("type")
        self.items = kwargs.get("items")
        self.continuation_token = kwargs.get("continuation_token")


class RegistryCalls:
    """Change, count and find devices."""

    def bulk_create_or_update_devices(
        self, devices: Sequence[ExportImportDevice | dict[str, Any]], *, timeout: float | None = None
    ) -> Call[BulkRegistryOperationResult]:
        """Create, update or delete up to 100 identities in one request, each as its `import_mode` says.

        The result lists what went wrong; a request that the hub refuses as a whole has `is_successful` None and the
        reason in `additional_properties`, as officially. `bulk` does the same for any number.
        """
        return ask(operations.UPDATE_REGISTRY, body=devices, timeout=timeout)

    def get_service_statistics(self, *, timeout: float | None = None) -> Call[ServiceStatistics]:
        """How many devices are connected."""
        return ask(operations.GET_SERVICE_STATISTICS, timeout=timeout)

    def get_device_registry_statistics(self, *, timeout: float | None = None) -> Call[RegistryStatistics]:
        """How many devices there are, enabled and disabled."""
        return ask(operations.GET_DEVICE_STATISTICS, timeout=timeout)

    def query_iot_hub(
        self,
        query_specification: Query,
        continuation_token: str | None = None,
        max_item_count: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[QueryResult]:
        """One page of a query's twins, at most `max_item_count` (1000); the next with its `continuation_token`.

        Rows that are no whole twins have their columns in `additional_properties`; a row that is no object can't be
        read. `query` gives all pages, and any row.
        """
        operation, page = operations.QUERY_TWINS, (continuation_token, max_item_count)
        response = yield prepare(operation, options=page, body=query_specification, timeout=timeout)
        return QueryResult(
            items=interpret(operation, response),
            type=response.headers.get("x-ms-item-type"),
            continuation_token=response.headers.get("x-ms-continuation"),
        )
