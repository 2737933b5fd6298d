"""What a scenario can have the hub do, beside the methods of `LocalHub`."""

from __future__ import annotations

from typing import Any

from ferrohub import LocalHub


class Back:
    """A hub that answers the questions of `interop.program`. What it returns can be written as JSON."""

    def __init__(self, hub: LocalHub) -> None:
        self._hub = hub

    def answer(self, call: str, arguments: list[Any]) -> dict[str, Any]:
        """The result of a method of this class or of the hub."""
        try:
            owner = self if hasattr(self, call) else self._hub
            return {"result": getattr(owner, call)(*arguments)}
        except Exception as error:  # noqa: BLE001 - the scenario gets it
            return {"error": f"{type(error).__name__}: {error}"}

    def telemetry(self, device_id: str) -> list[dict[str, Any]]:
        """What the device and its modules have sent."""
        return [
            {"module": message.module_id, "body": message.body.decode(), "properties": message.properties}
            for message in self._hub.telemetry()
            if message.device_id == device_id
        ]

    def drop(self, device_id: str) -> None:
        """End its connection."""
        self._hub.faults.drop(device_id)
