"""Sends messages to devices with whatever package is installed, and prints what became of each as a line of JSON.

A program: `python c2d_program.py CONNECTION_STRING WAY`. It runs with Microsoft's package and with ours.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from azure.iot.hub import IoTHubRegistryManager

try:
    from uamqp import TransportType
except ImportError:
    from ferrohub.service.transport_type import TransportType

EVERYTHING = {
    "messageId": "m-1",
    "correlationId": "c-1",
    "contentType": "application/json",
    "contentEncoding": "utf-8",
    "iothub-ack": "full",
    "text": "v=1&é",
    "empty": "",
    "int": 5,
    "negative": -3,
    "long": 2**40,
    "float": 1.5,
    "yes": True,
    "bytes": b"raw",
    "nothing": None,
}
SPECIAL = "d:1%21$'"
"""A device whose name is another one when it is decoded."""


def messages() -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Each by its name: the device, the body and the properties."""
    return {
        "everything": ("d", "hello", {**EVERYTHING, "expiryTimeUtc": int((time.time() + 600) * 1000)}),
        "no body": ("d", "", {"messageId": "m-2"}),
        "bytes": ("d", b"\x00\x01", {"messageId": "m-3"}),
        "sections": ("d", ["a", b"b"], {"messageId": "m-4"}),
        "null": ("d", None, {"messageId": "m-5"}),
        "large": ("d", "x" * 65_000, {"messageId": "m-6"}),
        "special": (SPECIAL, "hello", {"messageId": "m-7"}),
        "number for an id": ("idle", "hello", {"messageId": 7}),
        "too large": ("d", "x" * 66_000, {}),
        "far too large": ("d", "x" * 300_000, {}),
        "no such device": ("nobody", "hello", {}),
        "expired": ("d", "hello", {"expiryTimeUtc": 1_000_000_000_000}),
        "after refusals": ("d", "last", {"messageId": "m-8"}),
    }


def main(connection_string: str, way: str) -> None:
    """Send all messages, and fill a queue."""
    manager: Any = IoTHubRegistryManager.from_connection_string(connection_string, TransportType[way])

    def outcome(device: str, body: Any, properties: dict[str, Any]) -> str:
        try:
            manager.send_c2d_message(device, body, properties)
        except Exception as error:  # noqa: BLE001 - what it is is what is asked
            return f"{type(error).__name__}: {error}"
        return "sent"

    for name, message in messages().items():
        print(json.dumps([name, outcome(*message)]), flush=True)
    full = [outcome("full", str(number), {}) for number in range(51)]
    print(json.dumps(["queue", [full.count("sent"), full[-1]]]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
