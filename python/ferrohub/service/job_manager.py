"""`IoTHubJobManager`: import and export of identities, and scheduled changes of many devices.

Its methods are declared in `ferrohub.service.calls`.
"""

from __future__ import annotations

from ferrohub.service.calls.jobs import JobCalls
from ferrohub.service.manager import Manager, blocking


class IoTHubJobManager(Manager):
    """Import and export of identities, and scheduled changes of many devices."""

    create_import_export_job = blocking(JobCalls.create_import_export_job)
    get_import_export_jobs = blocking(JobCalls.get_import_export_jobs)
    get_import_export_job = blocking(JobCalls.get_import_export_job)
    cancel_import_export_job = blocking(JobCalls.cancel_import_export_job)
    create_scheduled_job = blocking(JobCalls.create_scheduled_job)
    get_scheduled_job = blocking(JobCalls.get_scheduled_job)
    cancel_scheduled_job = blocking(JobCalls.cancel_scheduled_job)
    query_scheduled_jobs = blocking(JobCalls.query_scheduled_jobs)
