"""Patches of desired properties, received by a handler of the synchronous client, from the first to the last."""

from __future__ import annotations

import threading
from typing import Any

from azure.iot.device import IoTHubDeviceClient
from measure import CALLS, DEVICE, measured, ready, trusted

first, last = threading.Event(), threading.Event()
versions: list[int] = []


def take(patch: dict[str, Any]) -> None:
    """A handler."""
    versions.append(patch["$version"])
    first.set()
    if len(versions) == CALLS:
        last.set()


client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
client.connect()
client.on_twin_desired_properties_patch_received = take
ready()
assert first.wait(60)
with measured():
    assert last.wait(120)
assert versions == list(range(versions[0], versions[0] + CALLS)), "each once, in their order"
client.shutdown()
