"""What is measured. A row is two programs, ours and a peer's, and what the first has to be beside the second."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from table import Target, What

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
OURS = sys.executable
OFFICIAL = str(Path(os.environ.get("FERROHUB_OFFICIAL_VENV", ROOT / ".venv-official")) / "bin" / "python")
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
ENGINE = str(BUILT / "examples" / "engine")


class Broker(Enum):
    """What a program talks to."""

    HUB = "the local hub"
    MOSQUITTO = "mosquitto"
    FAR_MOSQUITTO = "mosquitto, 50 ms away"


@dataclass(frozen=True)
class Side:
    """A program, and how many calls it makes in a round."""

    command: tuple[str, ...]
    calls: int = 1
    broker: Broker = Broker.HUB
    at_once: int = 64
    window: int = 0
    """Unacknowledged messages of our client; 0: its default."""
    driver: tuple[str, ...] = ()
    """What makes happen what the program waits for, once it is ready."""
    trusts_system: bool = False
    """Trust what the system trusts, with the broker's CA in it, in place of the broker's CA alone."""

    @property
    def program(self) -> str:
        """For messages."""
        return " ".join(self.command)


@dataclass(frozen=True)
class Row:
    """Ours beside a peer's, or alone."""

    name: str
    ours: Side
    peer: Side | None
    peer_name: str
    targets: tuple[Target, ...]


def rate(bound: float) -> Target:
    """At least so many times the peer's rate."""
    return Target(What.RATE, bound)


def cpu(bound: float) -> Target:
    """At most this part of its CPU time per call."""
    return Target(What.CPU, bound)


def memory(bound: float) -> Target:
    """At most this part of its memory per call; without a peer so many bytes."""
    return Target(What.MEMORY, bound)


def python(interpreter: str, program: str) -> tuple[str, ...]:
    """The command that runs a program of these folders."""
    return interpreter, str(FOLDER / program)


def beside_official(name: str, program: str, calls: tuple[int, int], *targets: Target, **options: object) -> Row:
    """One program, run with our packages and with Microsoft's; a round of each takes about as long."""
    package = "azure-iot-device" if "device" in program else "azure-iot-hub"
    ours = Side(python(OURS, program), calls[0], **options)  # type: ignore[arg-type]
    return Row(name, ours, replace(ours, command=python(OFFICIAL, program), calls=calls[1], window=0), package, targets)


def beside(peer: str, name: str, program: str, calls: tuple[int, int], *targets: Target) -> Row:
    """A program of ours and a client for any MQTT broker, which has an environment of its own."""
    interpreter = str(ROOT / ".peers" / peer / "bin" / "python")
    its_program = f"clients/{peer.partition('-')[0]}_publish.py"
    ours = Side(python(OURS, program), calls[0], Broker.MOSQUITTO)
    return Row(name, ours, replace(ours, command=python(interpreter, its_program), calls=calls[1]), peer, targets)


MOSQUITTO = {"broker": Broker.MOSQUITTO}
FAR = {"broker": Broker.FAR_MOSQUITTO, "at_once": 1280}
GATHER = "await send_message, gather of 64, mosquitto"
MESSAGES = [
    beside_official("send_message, one after another", "device/one_after_another.py", (8000, 2000),
                    rate(3.5), cpu(1 / 6), **MOSQUITTO),
    beside_official("send_message, 20 threads", "device/threads.py", (20000, 3000),
                    rate(5), cpu(1 / 4.5), **MOSQUITTO),
    beside_official("await send_message, one after another", "device/aio_one_after_another.py", (8000, 1600),
                    rate(3.5), cpu(1 / 5), **MOSQUITTO),
    beside_official(GATHER, "device/gather.py", (40000, 2500), rate(18), cpu(1 / 20), **MOSQUITTO),
    beside("gmqtt", GATHER, "device/gather.py", (40000, 30000), rate(1.1), cpu(0.8)),
    beside("awscrt", GATHER, "device/gather.py", (40000, 25000), rate(1.3), cpu(0.6)),
    beside("mqttium", GATHER, "device/gather.py", (40000, 20000), rate(2), cpu(0.45)),
    beside("paho-mqtt", GATHER, "device/gather.py", (40000, 12000), rate(3), cpu(0.25)),
    beside("aiomqtt", GATHER, "device/gather.py", (40000, 10000), rate(4), cpu(0.25)),
    beside_official("await send_message, gather of 100, local hub", "device/gather.py", (60000, 2500),
                    rate(30), cpu(1 / 30), at_once=100),
    beside("gmqtt", "submit, 64 at once, mosquitto", "device/submit.py", (50000, 30000), rate(1.5), cpu(0.55)),
    beside("gmqtt", "send_messages(1000), mosquitto", "device/batches.py", (60000, 30000), rate(2), cpu(0.3)),
    Row("send_messages(1000), local hub", Side(python(OURS, "device/batches.py"), 200_000),
        Side((ENGINE, "publish"), 400_000, at_once=100), "our engine without Python", (rate(0.3),)),
    beside_official("await send_message, 50 ms away", "device/gather.py", (1280, 1280), rate(3), **FAR),
    beside_official("await send_message, 50 ms away, window 256", "device/gather.py", (5120, 1280),
                    rate(10), **FAR, window=256),
]  # fmt: skip
RECEIVED = [
    beside_official("desired patches received, 100 clients", "device/patches.py", (30000, 5000), rate(8), cpu(1 / 8),
                    driver=python(OURS, "service/patching.py")),
    beside_official("direct methods received", "device/methods.py", (5000, 1500), rate(8), cpu(1 / 8),
                    driver=python(OURS, "service/calling.py")),
]  # fmt: skip
FLEET = [
    beside_official("await send_message while 100 others send", "device/latency.py", (1000, 1000),
                    Target(What.P99, 1 / 5)),
    beside_official("connect 1,000 clients, private CA", "device/connects.py", (1000, 300),
                    rate(3), cpu(1 / 5), memory(1 / 3), at_once=50),
    beside_official("connect 1,000 clients, system's roots", "device/connects.py", (1000, 40),
                    rate(10), cpu(1 / 5), memory(1 / 3), at_once=50, trusts_system=True),
]  # fmt: skip
FILLING = python(OURS, "service/filling.py")
SERVICE = [
    beside_official("get_twin, one after another", "service/one_after_another.py", (8000, 400), rate(20), cpu(1 / 25)),
    beside_official("get_twin, kept open", "service/kept_open.py", (8000, 1200), rate(4), cpu(1 / 6)),
    Row("get_twin, 64 at once", Side(python(OURS, "service/coroutines.py"), 20000),
        Side(python(OFFICIAL, "service/threads.py"), 400), "azure-iot-hub", (rate(40), cpu(1 / 30))),
    beside_official("first message to a device", "service/first_message.py", (1, 1), rate(10)),
    beside_official("messages to devices, one after another", "service/messages.py", (4000, 4000), rate(1), cpu(1 / 2)),
    Row("messages to devices, 1,000 at once", Side(python(OURS, "service/many_messages.py"), 20000),
        Side(python(OFFICIAL, "service/messages.py"), 4000), "azure-iot-hub", (rate(5), cpu(1 / 5))),
    Row("events read", Side(python(OURS, "service/events.py"), 100_000, driver=FILLING),
        Side(python(OFFICIAL, "service/event_hubs.py"), 30_000, driver=FILLING), "azure-eventhub",
        (rate(5), cpu(1 / 4))),
    beside_official("10,000 twins by query", "service/query.py", (2, 1), rate(8), cpu(1 / 8)),
]  # fmt: skip
START = [
    beside_official("import azure.iot.hub", "start/importing_service.py", (1, 1), rate(5), memory(1 / 3)),
    beside_official("import azure.iot.device", "start/importing_device.py", (1, 1), rate(5), memory(1 / 3)),
    beside_official("start to first answer", "start/first_answer.py", (1, 1), rate(2)),
]
ENGINES = [
    Row("our engine without Python, window 100, mosquitto", Side((ENGINE, "publish"), 80_000, Broker.MOSQUITTO, 100),
        Side((str(BUILT / "rumqttc-publish"),), 60_000, Broker.MOSQUITTO, 100), "rumqttc", (rate(1), cpu(1))),
]  # fmt: skip
HUB = [
    Row("ferrohub up: ready, idle", Side(python(OURS, "hub/start.py")), None, "",
        (Target(What.SECONDS, 0.15), memory(20 << 20))),
    Row("hub: connects of our engine, 32 at once", Side((ENGINE, "connect"), 3000, at_once=32),
        Side((ENGINE, "connect"), 3000, Broker.MOSQUITTO, at_once=32), "mosquitto", (rate(0.7),)),
    Row("hub: QoS 1 in, our engine, window 100", Side((ENGINE, "publish"), 400_000, at_once=100),
        Side((ENGINE, "publish"), 80_000, Broker.MOSQUITTO, at_once=100), "mosquitto", (rate(3),)),
]  # fmt: skip
ROWS = [*MESSAGES, *RECEIVED, *FLEET, *SERVICE, *START, *ENGINES, *HUB]
