"""What is measured. A row is two programs, ours and a peer's, and what the first has to be beside the second."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
OURS = Path(sys.executable)
OFFICIAL = Path(os.environ.get("FERROHUB_OFFICIAL_VENV", FOLDER.parent / ".venv-official")) / "bin" / "python"


@dataclass(frozen=True)
class Side:
    """A program of these folders, the Python that runs it, and how many calls it makes in a round."""

    python: Path
    program: str
    calls: int = 1


@dataclass(frozen=True)
class Row:
    """Ours beside a peer's. The targets are ratios: how many times the rate; CPU per call and memory, as a part."""

    name: str
    ours: Side
    peer: Side
    rate: float
    cpu: float | None = None
    memory: float | None = None


def with_official(name: str, program: str, *, calls: tuple[int, int], rate: float, cpu: float) -> Row:
    """One program, run with our package and with Microsoft's; a round of each takes about as long."""
    return Row(name, Side(OURS, program, calls[0]), Side(OFFICIAL, program, calls[1]), rate, cpu)


def once(name: str, program: str, *, rate: float, cpu: float | None, memory: float | None) -> Row:
    """The same for what happens once in a process."""
    return Row(name, Side(OURS, program), Side(OFFICIAL, program), rate, cpu, memory)


SERVICE = [
    with_official(
        "get_twin, one after another", "service/one_after_another.py", calls=(8000, 400), rate=20, cpu=1 / 25
    ),
    with_official("get_twin, kept open", "service/kept_open.py", calls=(8000, 1200), rate=4, cpu=1 / 6),
    Row(
        "get_twin, 64 at once",
        Side(OURS, "service/coroutines.py", 20000),
        Side(OFFICIAL, "service/threads.py", 400),
        rate=40,
        cpu=1 / 30,
    ),
    once("first message to a device", "service/first_message.py", rate=10, cpu=None, memory=None),
    with_official(
        "messages to devices, one after another", "service/messages.py", calls=(4000, 4000), rate=1, cpu=1 / 2
    ),
    Row(
        "messages to devices, 1,000 at once",
        Side(OURS, "service/many_messages.py", 20000),
        Side(OFFICIAL, "service/messages.py", 4000),
        rate=5,
        cpu=1 / 5,
    ),
    with_official("10,000 twins by query", "service/query.py", calls=(2, 1), rate=8, cpu=1 / 8),
]
START = [
    once("import azure.iot.hub", "start/importing_service.py", rate=5, cpu=None, memory=1 / 3),
    once("import azure.iot.device", "start/importing_device.py", rate=5, cpu=None, memory=1 / 3),
    once("start to first answer", "start/first_answer.py", rate=2, cpu=None, memory=None),
]
ROWS = [*SERVICE, *START]
