"""Calls about jobs: import and export of identities, and scheduled changes of many devices.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-jobs
https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask
from ferrohub.service.models import QueryResult
from ferrohub.service.operation import interpret, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.service.calls import Call
    from ferrohub.service.models import JobProperties, JobRequest, JobResponse


class JobCalls:
    """Create, read and cancel jobs."""

    def create_import_export_job(
        self, job_properties: JobProperties | dict[str, Any], *, timeout: float | None = None
    ) -> Call[JobProperties]:
        """Start to import identities from a blob, or to export them to one."""
        return ask(operations.CREATE_IMPORT_EXPORT_JOB, body=job_properties, timeout=timeout)

    def get_import_export_jobs(self, *, timeout: float | None = None) -> Call[list[JobProperties]]:
        """All import and export jobs."""
        return ask(operations.GET_IMPORT_EXPORT_JOBS, timeout=timeout)

    def get_import_export_job(self, job_id: str, *, timeout: float | None = None) -> Call[JobProperties]:
        """An import or export job. 404."""
        return ask(operations.GET_IMPORT_EXPORT_JOB, (job_id,), timeout=timeout)

    def cancel_import_export_job(self, job_id: str, *, timeout: float | None = None) -> Call[Any]:
        """Cancel an import or export job; what the hub says of it, or None. 404."""
        return ask(operations.CANCEL_IMPORT_EXPORT_JOB, (job_id,), timeout=timeout)

    def create_scheduled_job(
        self, job_id: str, job_request: JobRequest | dict[str, Any], *, timeout: float | None = None
    ) -> Call[JobResponse]:
        """Schedule an update of twins or calls of a method, for all devices that a condition finds."""
        return ask(operations.CREATE_SCHEDULED_JOB, (job_id,), body=job_request, timeout=timeout)

    def get_scheduled_job(self, job_id: str, *, timeout: float | None = None) -> Call[JobResponse]:
        """A scheduled job, with its status; of one that isn't known type and status are `unknown`."""
        return ask(operations.GET_SCHEDULED_JOB, (job_id,), timeout=timeout)

    def cancel_scheduled_job(self, job_id: str, *, timeout: float | None = None) -> Call[JobResponse]:
        """Cancel a scheduled job that hasn't begun. 404, 405."""
        return ask(operations.CANCEL_SCHEDULED_JOB, (job_id,), timeout=timeout)

    def query_scheduled_jobs(
        self,
        job_type: str | None,
        job_status: str | None,
        *,
        continuation_token: str | None = None,
        max_item_count: int | None = None,
        timeout: float | None = None,
    ) -> Call[QueryResult]:
        """One page of the scheduled jobs of this type and status; None is any.

        `items` are dicts with the names of the REST interface. The next page comes with the page's
        `continuation_token`; a page has at most `max_item_count` (1000) jobs, 100 unless it is given. IoT Hub answers
        with a list, which Microsoft's package can't read.
        """
        operation, options = operations.LIST_SCHEDULED_JOBS, (job_type, job_status, continuation_token, max_item_count)
        response = yield prepare(operation, options=options, timeout=timeout)
        found = interpret(operation, response)
        if not isinstance(found, list):
            return interpret(operations.QUERY_SCHEDULED_JOBS, response)
        return QueryResult(
            type=response.headers.get("x-ms-item-type"),
            items=found,
            continuation_token=response.headers.get("x-ms-continuation"),
        )
