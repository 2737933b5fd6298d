"""Calls about jobs: import and export of identities, and scheduled changes of many devices.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-jobs
https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask
from ferrohub.service.calls.creation import create, holds
from ferrohub.service.codecs import decode_datetime
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
        """Schedule an update of twins or calls of a method for all devices that a condition finds. 409 if it exists."""
        put, get = operations.CREATE_SCHEDULED_JOB, operations.GET_SCHEDULED_JOB
        return create(put, get, (job_id,), job_request, timeout, _is_as_asked)

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


def _is_as_asked(found: Any, asked: Any) -> bool:
    """Whether a job is the one that was asked for, though hubs show some of it otherwise than they were given it."""
    told_otherwise = {"startTime", "cloudToDeviceMethod"}
    # 0 seconds are as many as the hub gives.
    told = {name: value or "" for name, value in asked.items() if name not in told_otherwise}
    method, asked_method = found.get("cloudToDeviceMethod") or {}, asked.get("cloudToDeviceMethod") or {}
    method = {**method, "payload": _payload(method.get("payload"))}
    return holds(found, told) and holds(method, asked_method) and _starts_as_asked(found, asked)


def _payload(shown: Any) -> Any:
    """A method's payload: hubs show it as the bytes of its JSON."""
    import json

    try:
        return json.loads(bytes(shown)) if isinstance(shown, list) else shown
    except (TypeError, ValueError):
        return shown


def _starts_as_asked(found: Any, asked: Any) -> bool:
    """Whether it starts when it should, at once if that was over. A hub keeps fewer digits than it is given."""
    if asked.get("startTime") is None:
        return True
    created, starts = found.get("createdTime"), found.get("startTime")
    if created is None or starts is None:
        return False
    wanted = decode_datetime(asked["startTime"])
    return wanted <= decode_datetime(created) or abs((decode_datetime(starts) - wanted).total_seconds()) < 1
