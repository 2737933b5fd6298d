"""Patches of desired properties of 100 devices, received by handlers of their synchronous clients in one program."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from azure.iot.device import IoTHubDeviceClient
from measure import CALLS, PATCHED, device, device_id, measured, ready, trusted

first, last = threading.Event(), threading.Event()
count = itertools.count(1)
each = CALLS // PATCHED


class Receiver:
    """A client, and the versions that it has been given."""

    def __init__(self, number: int, trust: str) -> None:
        self.versions: list[int] = []
        text = device(device_id(number))
        self.client = IoTHubDeviceClient.create_from_connection_string(text, server_verification_cert=trust)
        self.client.connect()
        self.client.on_twin_desired_properties_patch_received = self.take

    def take(self, patch: dict[str, Any]) -> None:
        """A handler."""
        self.versions.append(patch["$version"])
        number = next(count)
        if number == 1:
            first.set()
        if number == each * PATCHED:
            last.set()


authority = trusted()
receivers = [Receiver(number, authority) for number in range(PATCHED)]
ready()
assert first.wait(60)
with measured(each * PATCHED):
    assert last.wait(120)
for receiver in receivers:
    versions = receiver.versions
    assert versions == list(range(versions[0], versions[0] + each)), "each once, in their order"
    receiver.client.shutdown()
