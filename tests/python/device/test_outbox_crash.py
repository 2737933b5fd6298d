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
DOWN = 0.3
"""Seconds that the hub is up, and then down."""


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
    """Connections are cut and refused for a while, again and again."""
    stopped = threading.Event()

    def switch() -> None:
        while not stopped.wait(DOWN):
            with hub.faults.refuse_connects():
                hub.faults.drop()
                stopped.wait(DOWN)

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
    chance = random.Random(20)  # noqa: S311 - the same moments in each run, as far as the machine allows
    command: list[str | Path] = [sys.executable, PROGRAM, hub.device_connection_string("d"), tmp_path / "outbox"]
    accepted = 0
    # Acknowledgements take their time, so that there is something in flight whenever the sender dies.
    with hub.faults.delay_pubacks(0.01), Arrivals(hub) as arrived:
        with down_half_the_time(hub):
            for _ in range(KILLS):
                with Program(*command, str(accepted), str(messages)) as program:
                    goal = min(messages, accepted + messages // KILLS * chance.uniform(0.5, 1.0))
                    while accepted < goal:
                        accepted = int(program.wait_for("^accepted ").split()[1])
                    program.process.kill()
        with Program(*command, str(accepted), str(messages)) as program:
            program.wait_for("^delivered$")
            assert program.finish().code == 0
    # The first time that each arrives: what was accepted comes in order, what is sent again comes later.
    assert list(dict.fromkeys(arrived)) == list(range(messages))
    assert len(arrived) < messages * 1.5, "what the hub has acknowledged is removed"
    print(f"{messages} messages, {len(arrived) - messages} arrived twice")
