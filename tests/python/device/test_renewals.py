"""Short tokens are renewed under load, and expire while the hub is away. Nothing is lost nor repeated."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Callable

from azure.iot.device import IoTHubDeviceClient

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

CLIENTS = 10
RENEWALS = 100
"""Of all clients together: each renews ten times in the soak, and once elsewhere."""
LIFE = 7
"""Seconds that a token lives. It is renewed after 5.6; without that the hub would end the connection."""
SECONDS = 30
"""No test waits longer than this for anything."""


class Sender:
    """A client that sends numbered messages, ten at a time, until it is stopped."""

    def __init__(self, hub: LocalHub, device: str, stopped: threading.Event) -> None:
        self.client = IoTHubDeviceClient.create_from_connection_string(
            hub.device_connection_string(device), sastoken_ttl=LIFE
        )
        self.stopped = stopped
        self.sent = 0
        self.failures: list[Exception] = []
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self) -> None:
        while not self.stopped.is_set():
            texts = [str(number) for number in range(self.sent, self.sent + 10)]
            self.failures.extend(error for error in self.client.send_messages(texts) if error is not None)
            self.sent += len(texts)
            self.client.get_twin()
            self.stopped.wait(0.01)


def test_a_hundred_renewals_under_load_lose_nothing_and_repeat_nothing(
    hub: LocalHub, registry: IoTHubRegistryManager, scaled: Callable[[int], int]
) -> None:
    devices = [f"d{number}" for number in range(CLIENTS)]
    for device in devices:
        registry.create_device_with_sas(device, "", "", "enabled")
    stopped = threading.Event()
    senders = {device: Sender(hub, device, stopped) for device in devices}
    arrived: dict[str, list[int]] = {device: [] for device in devices}
    for message in hub.events(timeout=1):  # ends when all have stopped
        arrived[message.device_id].append(int(message.body))
        if hub.statistics()["connects"] >= CLIENTS + scaled(RENEWALS):
            stopped.set()
    for device, sender in senders.items():
        sender.thread.join(SECONDS)
        assert not sender.thread.is_alive()
        assert sender.failures == []
        assert arrived[device] == list(range(sender.sent)), "each once, in order"
        statistics = sender.client.statistics
        assert statistics["reconnects"] == 0, "a renewal is no loss"
        assert statistics["sent"] == statistics["acknowledged"] == sender.sent
        sender.client.shutdown()


def test_a_token_that_expired_while_the_hub_was_away_is_replaced(
    hub: LocalHub, registry: IoTHubRegistryManager
) -> None:
    registry.create_device_with_sas("d", "", "", "enabled")
    errors: queue.Queue[Exception] = queue.Queue()
    with IoTHubDeviceClient.create_from_connection_string(
        hub.device_connection_string("d"), sastoken_ttl=2, connection_retry_interval=1
    ) as client:
        client.connect()
        client.on_background_exception = errors.put
        connected = time.monotonic()
        with hub.faults.refuse_connects("d"):
            hub.faults.drop("d")
            while time.monotonic() < connected + 3:
                errors.get(timeout=SECONDS)
        client.send_message("1", timeout=SECONDS)
    assert [message.body for message in hub.telemetry()] == [b"1"]


def test_a_hub_whose_clock_is_set_back_takes_the_tokens_too(hub: LocalHub, registry: IoTHubRegistryManager) -> None:
    registry.create_device_with_sas("d", "", "", "enabled")
    with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as client:
        client.send_message("1")
        hub.faults.move_clock(-7200)
        hub.faults.drop("d")
        client.send_message("2")
    assert [message.body for message in hub.telemetry()] == [b"1", b"2"]
