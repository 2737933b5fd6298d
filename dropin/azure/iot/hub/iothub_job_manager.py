"""The job manager."""

from ferrohub.service.job_manager import IoTHubJobManager

__all__ = ["IoTHubJobManager"]
