"""Calls about digital twins: devices seen through their IoT Plug and Play model.

https://learn.microsoft.com/azure/iot/concepts-digital-twin
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.service.calls import Call


class DigitalTwinCalls:
    """Read and write digital twins, and call commands. A digital twin's id is its device's."""

    def get_digital_twin(self, digital_twin_id: str, *, timeout: float | None = None) -> Call[Any]:
        """A digital twin, as JSON. 404."""
        return ask(operations.GET_DIGITAL_TWIN, (digital_twin_id,), timeout=timeout)

    def update_digital_twin(
        self,
        digital_twin_id: str,
        digital_twin_patch: list[dict[str, Any]],
        etag: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[None]:
        """Change a digital twin by a JSON Patch (RFC 6902), if its etag, sent as it is, is still this one. 404, 412."""
        path, patch = (digital_twin_id,), digital_twin_patch
        return ask(operations.UPDATE_DIGITAL_TWIN, path, body=patch, if_match=etag, timeout=timeout)

    def invoke_component_command(
        self,
        digital_twin_id: str,
        component_path: str,
        command_name: str,
        payload: Any,
        connect_timeout_in_seconds: int | None = None,
        response_timeout_in_seconds: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Any]:
        """Call a command of a component; gives what the device answered, as JSON. 404 if it is not connected."""
        path = (digital_twin_id, component_path, command_name)
        waits = (connect_timeout_in_seconds, response_timeout_in_seconds)
        return ask(operations.INVOKE_COMPONENT_COMMAND, path, options=waits, body=payload, timeout=timeout)

    def invoke_command(
        self,
        digital_twin_id: str,
        command_name: str,
        payload: Any,
        connect_timeout_in_seconds: int | None = None,
        response_timeout_in_seconds: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Any]:
        """Call a command of the device itself; gives what it answered, as JSON. 404 if it is not connected."""
        path = (digital_twin_id, command_name)
        waits = (connect_timeout_in_seconds, response_timeout_in_seconds)
        return ask(operations.INVOKE_COMMAND, path, options=waits, body=payload, timeout=timeout)
