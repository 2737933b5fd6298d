"""Messages to devices that connect, disconnect and crash: each is completed once or expires, as its feedback says."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice
from ferrohub import LocalHub
from ferrohub.service.message_errors import MessageError
from support import Program
from typing_extensions import Self

PROGRAM = Path(__file__).parent.parent / "c2d_devices.py"
MESSAGES, DEVICES, KILLS = 10_000, 100, 50
PROGRAMS = 2
AT_ONCE = 50
ABSENT = "absent"
"""A device that never comes; its messages expire after `SHORT` seconds."""
SHORT = 3
QUEUE_FULL = 403
PATIENCE = 150


class Crowd:
    """The devices, in programs that are killed and started again."""

    def __init__(self, hub: LocalHub, devices: list[str], folder: Path) -> None:
        self.received: Counter[str] = Counter()
        self._files = []
        for number in range(PROGRAMS):
            file = folder / f"devices-{number}"
            file.write_text("\n".join(hub.device_connection_string(name) for name in devices[number::PROGRAMS]))
            self._files.append(file)
        self._seeds = iter(range(1_000_000))
        self._programs = [self._start(number) for number in range(PROGRAMS)]

    def _start(self, number: int) -> Program:
        return Program(sys.executable, PROGRAM, self._files[number], str(next(self._seeds)))

    def crash(self, number: int) -> None:
        """Kill a program that has had all its devices connected, and start it again."""
        self._programs[number].wait_for("^ready$")
        self._end(number)
        self._programs[number] = self._start(number)

    def _end(self, number: int) -> None:
        with self._programs[number] as program:
            program.process.kill()
            program.finish()
        self.received.update(program.lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number in range(PROGRAMS):
            self._end(number)


class Sender:
    """Sends each message until the hub has accepted it."""

    def __init__(self, manager: IoTHubRegistryManager, devices: list[str], messages: int) -> None:
        self.accepted: dict[str, str] = {}
        """The device of each, by its id."""
        self.failures: list[Any] = []
        self._manager = manager
        self._left = [(f"m{number}", name) for number, name in zip(range(messages), devices * messages)]
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        end = time.monotonic() + PATIENCE
        while self._left and not self.failures and time.monotonic() < end:
            now, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
            outcomes = self._manager.send_c2d_messages([self._message(*message) for message in now])
            for message, error in zip(now, outcomes):
                if error is None:
                    self.accepted[message[0]] = message[1]
                elif isinstance(error, MessageError) and error.status_code == QUEUE_FULL:
                    self._left.append(message)
                else:
                    self.failures.append(error)

    def _message(self, name: str, device: str) -> tuple[str, str, dict[str, Any]]:
        properties: dict[str, Any] = {"messageId": name, "iothub-ack": "full"}
        if device == ABSENT:
            properties["expiryTimeUtc"] = int((time.time() + SHORT) * 1000)
        return device, name, properties


def take_feedback(manager: IoTHubRegistryManager) -> list[tuple[str, str]]:
    """The next batch, which is completed: message and outcome of each record."""
    queue = manager.protocol.cloud_to_device_messages
    batch = queue.receive_feedback_notification(raw=True)
    if batch.response.status_code == 204:
        return []
    queue.complete_feedback_notification(batch.headers["ETag"].strip('"'))
    return [(record["originalMessageId"], record["statusCode"]) for record in json.loads(batch.response.content)]


def test_each_message_is_completed_once_or_expires(scaled: Callable[[int], int], tmp_path: Path) -> None:
    messages, kills, chance = scaled(MESSAGES), scaled(KILLS), random.Random(1)  # noqa: S311 - no secret
    devices = [f"d{number}" for number in range(scaled(DEVICES))]
    with (
        LocalHub(process=True, limits={"feedback_seconds": 1}) as hub,
        IoTHubRegistryManager(hub.connection_string) as manager,
    ):
        changes = [ExportImportDevice(id=name, import_mode="create", status="enabled") for name in [*devices, ABSENT]]
        assert all(result.succeeded for result in manager.bulk(changes))
        with Crowd(hub, devices, tmp_path) as crowd:
            sender = Sender(manager, [*devices, ABSENT], messages)
            for _ in range(kills):
                crowd.crash(chance.randrange(PROGRAMS))
            sender.thread.join(PATIENCE)
            assert not sender.failures
            assert len(sender.accepted) == messages
            told: list[tuple[str, str]] = []
            end = time.monotonic() + PATIENCE
            while len(told) < messages and time.monotonic() < end:
                told += take_feedback(manager)
        told += take_feedback(manager)
        waiting = sum(manager.get_device(name).cloud_to_device_message_count for name in [*devices, ABSENT])
    outcomes = dict(told)
    assert (len(told), waiting) == (messages, 0)
    assert outcomes.keys() == sender.accepted.keys()
    for name, device in sender.accepted.items():
        assert outcomes[name] == ("Expired" if device == ABSENT else "Success"), (name, device)
    # A device that was killed may have acknowledged more than it told of.
    assert crowd.received.keys() - {"ready"} <= {name for name, outcome in told if outcome == "Success"}
    assert len(crowd.received) > messages / 4
