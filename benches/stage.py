"""What the programs run against: the local hub, Mosquitto, and Mosquitto behind a long way.

All of them have port 8883, on loopback addresses of their own: the official package knows no other port.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import mosquitto
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice
from certificates import make_certificates
from ferrohub import LocalHub
from mosquitto import Mosquitto
from rows import FOLDER, OFFICIAL, ROOT, Broker, Side
from table import Measure
from typing_extensions import Self

DEVICES = 10_000
FAR_ADDRESS = "127.0.0.3"
ONE_WAY = 25
"""Milliseconds to the far broker, and as many back."""
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
KEY = base64.b64encode(b"the key of every device here").decode()
LONGEST = 300

INSIDE = "BENCH_INSIDE"


def in_own_network(main: Callable[[], int]) -> int:
    """Run the program in a network of its own: its ports are surely free, and no other machine hears anything."""
    if INSIDE in os.environ:
        return main()
    starter = str(ROOT / "tests" / "python" / "own_network.py")
    command = ["unshare", "-rn", sys.executable, starter, "", sys.executable, *sys.argv]
    return subprocess.run(command, env={**os.environ, INSIDE: "yes"}, check=False).returncode


class ProgramFailed(Exception):
    """A program that can't be measured: it broke off, or not everything it sent has arrived."""


class Stage:
    """The brokers, each in a process of its own. The hub has as many devices as the rows need."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with self._open as opening:
            self._folder = Path(opening.enter_context(TemporaryDirectory()))
            # For the hub and every program of ours: nobody else's CA is touched.
            os.environ["FERROHUB_HOME"] = str(self._folder / "home")
            self._hub = opening.enter_context(LocalHub(process=True, standard_ports=True))
            self._create_devices()
            make_certificates(self._folder, (mosquitto.ADDRESS, FAR_ADDRESS))
            self._mosquitto = opening.enter_context(Mosquitto(self._folder))
            self._lengthen_the_way(opening)
            roots = SYSTEM_ROOTS.read_text() + Path(self._hub.ca_file).read_text()
            (self._folder / "roots.pem").write_text(roots)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def hub_pid(self) -> int:
        """The hub's process."""
        return self._hub.pid

    def _create_devices(self) -> None:
        changes = [
            ExportImportDevice(
                id=f"device-{number:06}",
                import_mode="create",
                status="enabled",
                tags={"site": f"site {number % 7}", "floor": number % 12},
                properties={
                    "desired": {"interval": number % 60, "firmware": {"version": "1.4.2", "channel": "stable"}}
                },
                # All have the same: a program that has one string has all of them.
                authentication={"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}},
            )
            for number in range(DEVICES)
        ]
        with IoTHubRegistryManager.from_connection_string(self._hub.connection_string) as manager:
            assert all(result.succeeded for result in manager.bulk(changes))

    def _lengthen_the_way(self, opening: ExitStack) -> None:
        command = [sys.executable, str(FOLDER / "delay_proxy.py"), FAR_ADDRESS, mosquitto.ADDRESS, "8883", str(ONE_WAY)]
        proxy = opening.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        opening.callback(proxy.terminate)
        assert proxy.stdout
        assert proxy.stdout.readline() == b"ready\n"

    def measure(self, side: Side, share: float) -> Measure:
        """Run a program once, with this share of its calls, and see that everything it sent has arrived."""
        environment = self._environment(side, share)
        before = self._arrived(side.broker, 0)
        with subprocess.Popen(side.command, env=environment, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout
            if side.driver:
                if program.stdout.readline() != "ready\n":
                    raise ProgramFailed(f"{side.program} is not ready")
                subprocess.run(side.driver, env=environment, check=True, timeout=LONGEST)
            said = program.communicate(timeout=LONGEST)[0]
        if program.returncode != 0:
            raise ProgramFailed(f"{side.program} failed with code {program.returncode}")
        measure = Measure(**json.loads(said.splitlines()[-1]))
        arrived = self._arrived(side.broker, before + measure.sent) - before
        if arrived != measure.sent:
            raise ProgramFailed(f"{side.program} sent {measure.sent} messages, {side.broker} got {arrived}")
        return measure

    def _arrived(self, broker: Broker, expected: int) -> int:
        """How many messages this broker has got."""
        if broker is Broker.HUB:
            return self._hub.statistics()["telemetry_messages"]
        return self._mosquitto.wait_received(expected)

    def _environment(self, side: Side, share: float) -> dict[str, str]:
        hosts = {Broker.HUB: "localhost", Broker.MOSQUITTO: mosquitto.ADDRESS, Broker.FAR_MOSQUITTO: FAR_ADDRESS}
        host, of_hub = hosts[side.broker], side.broker is Broker.HUB
        trust = {
            "BENCH_CA_FILE": str(self._hub.ca_file if of_hub else self._folder / "ca.pem"),
            # Whom the official package for services trusts; ours knows.
            "REQUESTS_CA_BUNDLE": str(self._hub.ca_file),
        }
        if side.command[0] == OFFICIAL:
            # The same for its AMQP.
            trust["SSL_CERT_FILE"] = str(self._hub.ca_file)
        if side.trusts_system:
            trust = {"SSL_CERT_FILE": str(self._folder / "roots.pem")}
        return {
            **os.environ,
            **trust,
            "PYTHONPATH": str(FOLDER),
            "BENCH_HOST": host,
            "BENCH_DEVICE": f"HostName={host};DeviceId=device-000000;SharedAccessKey={KEY}",
            "BENCH_CONNECTION_STRING": self._hub.connection_string,
            "BENCH_EVENT_HUBS": self._hub.event_hubs_connection_string,
            "BENCH_CALLS": str(max(1, round(side.calls * share))),
            "BENCH_AT_ONCE": str(side.at_once),
            "BENCH_WINDOW": str(side.window),
            "BENCH_DEVICES": str(DEVICES),
            "BENCH_STARTED": str(time.monotonic()),
        }
