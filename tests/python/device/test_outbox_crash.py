"""The sending program is killed with -9, again and again, while the hub is down half the time: nothing is lost."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import Program

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

PROGRAM = Path(__file__).parent.parent / "outbox_sender.py"
KILLS = 10


class Arrivals:
    """Collects what the hub receives, as it comes: the hub keeps the last 10,000 only."""

    def __init__(self, hub: LocalHub) -> None:
        self.numbers: list[int] = []
        self._hub = hub
        self._thread = threading.Thread(target=self._collect)
        self._stopped = threading.Event()

    def _collect(self) -> None:
        events = self._hub.events(timeout=0.2)
        while True:
            last_look = self._stopped.is_set()
            self.numbers.extend(int(message.body) for message in events)
            if last_look:
                return

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self.numbers

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


@contextmanager
def down_half_the_time(hub: LocalHub) -> Iterator[None]:
    """Connections are cut and refused for half a second, every second."""
    stopped = threading.Event()

    def switch() -> None:
        while not stopped.wait(0.5):
            with hub.faults.refuse_connects():
                hub.faults.drop()
                stopped.wait(0.5)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(10_000, marks=pytest.mark.timeout(180)),
        pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_every_accepted_message_arrives_in_order_though_the_sender_is_killed(
    hub: LocalHub, registry: IoTHubRegistryManager, tmp_path: Path, messages: int
) -> None:
    registry.create_device_with_sas("d", "", "", "enabled")
    connection_string = hub.device_connection_string("d")
    chance = random.Random(20)  # noqa: S311 - the same moments in each run, as far as the machine allows
    accepted = 0
    with Arrivals(hub) as arrived, down_half_the_time(hub):
        for kill in range(KILLS + 1):
            path = tmp_path / "outbox"
            with Program(sys.executable, PROGRAM, connection_string, path, str(accepted), str(messages)) as program:
                if kill == KILLS:
                    program.wait_for("^delivered$")
                    assert program.finish().code == 0
                    break
                goal = min(messages, accepted + messages // KILLS * chance.uniform(0.5, 1.0))
                while accepted < goal:
                    accepted = int(program.wait_for("^accepted ").split()[1])
                program.process.kill()
    # The first time that each arrives: what was accepted comes in order, what is sent again comes later.
    assert list(dict.fromkeys(arrived)) == list(range(messages))
    print(f"{messages} messages, {len(arrived) - messages} arrived twice")
