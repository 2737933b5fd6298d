"""The sending program and the hub are killed with -9, again and again, the hub down half the time: nothing is lost."""

from __future__ import annotations

import random
import sys
import threading
import time
from base64 import b64decode
from pathlib import Path

import pytest
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import Program
from typing_extensions import Self

PROGRAM = Path(__file__).parent.parent / "outbox_sender.py"
KILLS = 10
UP = DOWN = 0.1
"""Seconds that the hub is up, and then down."""


class MortalHub:
    """A hub that lives for a while, is killed, and is down as long, again and again; and what has arrived there.

    What it has taken is read while it is up, by the one thread that kills it: it keeps the last 10,000 messages only.
    """

    def __init__(self, hub: LocalHub) -> None:
        self.arrived: list[int] = []
        self._hub = hub
        self._read = 0
        self._mortal = True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._live)

    def _live(self) -> None:
        while not self._stopped.is_set():
            dies = time.monotonic() + UP
            while time.monotonic() < dies:
                self._take()
            if self._mortal:
                self._hub.kill()
                self._stopped.wait(DOWN)
                self._hub.restart()
        self._take()

    def _take(self) -> None:
        answer, error = self._hub._ask(call="events", timeout=0.02, **{"from": self._read})
        assert error is None
        if answer["messages"]:
            assert answer["first"] == self._read, "it was read too late"
            self._read += len(answer["messages"])
            self.arrived.extend(int(b64decode(message["body"])) for message in answer["messages"])

    def spare(self) -> None:
        """Kill it no more."""
        self._mortal = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(10_000, marks=pytest.mark.timeout(180)),
        pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_every_accepted_message_arrives_in_order_though_the_sender_is_killed(tmp_path: Path, messages: int) -> None:
    chance = random.Random(20)  # noqa: S311 - the same moments in each run, as far as the machine allows
    accepted = 0
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        IoTHubRegistryManager(hub.connection_string).create_device_with_sas("d", "", "", "enabled")
        command: list[str | Path] = [sys.executable, PROGRAM, hub.device_connection_string("d"), tmp_path / "outbox"]
        with MortalHub(hub) as mortal:
            for _ in range(KILLS):
                with Program(*command, str(accepted), str(messages)) as program:
                    goal = min(messages, accepted + messages // KILLS * chance.uniform(0.5, 1.0))
                    while accepted < goal:
                        accepted = int(program.wait_for("^accepted ").split()[1])
                    program.process.kill()
            mortal.spare()
            with Program(*command, str(accepted), str(messages)) as program:
                program.wait_for("^delivered$")
                assert program.finish().code == 0
        arrived = mortal.arrived
    # The first time that each arrives: what was accepted comes in order, what is sent again comes later.
    assert list(dict.fromkeys(arrived)) == list(range(messages))
    assert len(arrived) < messages * 1.5, "what the hub has acknowledged is removed"
    print(f"{messages} messages, {len(arrived) - messages} arrived twice")
