"""What a scenario can have the hub do, beside the methods of `LocalHub`."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from any_client import SECONDS
from ferrohub import LocalHub
from recording_hub import make_certificates


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

    def wait_for_telemetry(self, device_id: str) -> None:
        """Wait for a message of it."""
        next(message for message in self._hub.events(timeout=SECONDS) if message.device_id == device_id)

    def another_ca(self) -> str:
        """The certificate of a CA that has signed nothing here."""
        with tempfile.TemporaryDirectory() as folder:
            return make_certificates(Path(folder)).ca.read_text("utf-8")

    def refuse_connects(self, device_id: str, code: int) -> None:
        """Until the faults are cleared."""
        self._hub.faults.refuse_connects(device_id, code=code)

    def withhold_pubacks(self, device_id: str) -> None:
        """Until the faults are cleared."""
        self._hub.faults.withhold_pubacks(device_id)

    def move_clock(self, seconds: float) -> None:
        """Of the hub."""
        self._hub.faults.move_clock(seconds)

    def clear_faults(self) -> None:
        """All of them."""
        self._hub.faults.clear()

    def drop(self, device_id: str) -> None:
        """End its connection."""
        self._hub.faults.drop(device_id)

    def uploads(self, device_id: str) -> dict[str, Any]:
        """What the device has uploaded, and told of it."""
        blobs = [name for name in self._hub.blobs() if name.startswith(f"{device_id}/")]
        return {
            "blobs": {name.partition("/")[2]: sha256(self._hub.blob(name)).hexdigest() for name in blobs},
            "told": [told[2:6] for told in self._hub.file_notifications() if told.device_id == device_id],
        }

    def be_edge(self, device_id: str, module_id: str, path: str | None) -> dict[str, str]:
        """Be the runtime of IoT Edge for a module, to the end; the variables of its environment."""
        return self._hub.edge_workload(device_id, module_id, path).environment
