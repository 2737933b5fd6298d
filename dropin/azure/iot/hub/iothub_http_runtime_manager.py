"""The manager of feedback."""

from ferrohub.service.http_runtime_manager import IoTHubHttpRuntimeManager

__all__ = ["IoTHubHttpRuntimeManager"]
