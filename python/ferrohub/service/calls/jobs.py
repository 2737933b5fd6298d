"""Calls about jobs: import and export of identities, and scheduled changes of many devices.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-jobs
https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.service.calls import Call
    from ferrohub.service.models import JobProperties, JobRequest, JobResponse, QueryResult


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
        """A scheduled job, with its status. 404."""
        return ask(operations.GET_SCHEDULED_JOB, (job_id,), timeout=timeout)

    def cancel_scheduled_job(self, job_id: str, *, timeout: float | None = None) -> Call[JobResponse]:
        """Cancel a scheduled job. 404."""
        return ask(operations.CANCEL_SCHEDULED_JOB, (job_id,), timeout=timeout)

    def query_scheduled_jobs(
        self, job_type: str | None, job_status: str | None, *, timeout: float | None = None
    ) -> Call[QueryResult]:
        """Scheduled jobs of this type and status; None is any."""
        return ask(operations.QUERY_SCHEDULED_JOBS, options=(job_type, job_status), timeout=timeout)
