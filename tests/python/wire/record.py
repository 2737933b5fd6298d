"""Record what a package puts on the wire, with Mosquitto as the hub, in a network of its own.

`make record-wire` writes what the official package does to tests/golden/wire.
"""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recording_hub import make_certificates
from support import ROOT, official_python, own_network, run
from wire.packets import Packet

GOLDEN = ROOT / "tests" / "golden" / "wire"
HOSTS = "127.0.0.1 hub.example"
SECONDS = 240
"""A run with hundreds of scenarios; half a minute on an idle machine."""

Scenarios = dict[str, list[Packet]]


@dataclass
class Recording:
    """What a package has put on the wire."""

    packets: dict[str, Scenarios]
    """By sort of client: `device sync tcp`, …"""
    upgrade: list[str]
    """The request for a WebSocket."""


def record(python: Path) -> Recording:
    """Both transports at the same time: most of it is waiting."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as pool:
        make_certificates(Path(name))

        def record_one(transport: str) -> Recording:
            command = own_network([python, "-m", "wire.run", transport, name], hosts=HOSTS)
            ran = run(*command, env={"PYTHONPATH": str(ROOT / "tests" / "python")}, timeout=SECONDS)
            assert ran.code == 0, ran.err
            return Recording(**json.loads(ran.out))

        tcp, websockets = pool.map(record_one, ("tcp", "websockets"))
        return Recording({**tcp.packets, **websockets.packets}, websockets.upgrade)


def record_questions(python: Path) -> dict[str, list[str]]:
    """What its clients ask over HTTPS, by scenario."""
    with tempfile.TemporaryDirectory() as name:
        make_certificates(Path(name))
        command = own_network([python, "-m", "wire.https", name], hosts=HOSTS)
        ran = run(*command, env={"PYTHONPATH": str(ROOT / "tests" / "python")}, timeout=SECONDS)
    assert ran.code == 0, ran.err
    questions: dict[str, list[str]] = json.loads(ran.out)
    return questions


def golden_questions() -> dict[str, list[str]]:
    """What the official clients ask."""
    questions: dict[str, list[str]] = json.loads((GOLDEN / "https.json").read_text("utf-8"))
    return questions


def golden(of: str) -> Scenarios:
    """The recording of `device`, `module` or `provisioning`."""
    scenarios: Scenarios = json.loads((GOLDEN / f"{of}.json").read_text("utf-8"))
    return scenarios


def golden_upgrade() -> list[str]:
    """The official request for a WebSocket."""
    lines: list[str] = json.loads((GOLDEN / "upgrade.json").read_text("utf-8"))
    return lines


def _write(recording: Recording) -> None:
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "upgrade.json").write_text(json.dumps(recording.upgrade, indent=1) + "\n", "utf-8")
    for of in ("device", "module", "provisioning"):
        scenarios = recording.packets[f"{of} sync tcp"]
        for sort, others in recording.packets.items():
            assert not sort.startswith(of) or others == scenarios, f"{sort} differs from the synchronous one over TCP"
        (GOLDEN / f"{of}.json").write_text(_a_packet_a_line(scenarios), "utf-8")


def _a_packet_a_line(scenarios: Scenarios) -> str:
    blocks = []
    for name, packets in scenarios.items():
        lines = ",\n".join(f"  {json.dumps(packet, ensure_ascii=False)}" for packet in packets)
        blocks.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    _write(record(official_python()))
    questions = record_questions(official_python())
    (GOLDEN / "https.json").write_text(json.dumps(questions, indent=1, ensure_ascii=False) + "\n", "utf-8")
