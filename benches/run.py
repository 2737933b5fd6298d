"""`make bench`: every row of `rows.py`, ours and the peer's in turn against one local hub, and a table.

    python benches/run.py [--quick] [--rows TEXT]

Each round runs each program in a process of its own. A ratio is that of one round; what counts is the median of the
rounds. Exits with 1 if a row is below its target (`near`: by less than 15 %). `--json FILE` keeps the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice
from ferrohub import LocalHub
from rows import FOLDER, OURS, ROWS, Row, Side

DEVICES = 10_000
NEAR = 0.85


@dataclass(frozen=True)
class Measure:
    """One round of one program: seconds and bytes."""

    calls: int
    seconds: float
    cpu: float
    memory: int

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds

    @property
    def cpu_per_call(self) -> float:
        """Seconds."""
        return self.cpu / self.calls


@dataclass(frozen=True)
class Ratio:
    """How ours stands beside the peer, round by round; at least `target` is wanted, or at most if `is_part`."""

    what: str
    rounds: list[float]
    target: float
    is_part: bool

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.rounds)

    @property
    def verdict(self) -> str:
        """`ok`, `near` or `FAIL`."""
        reached = self.target / self.median if self.is_part else self.median / self.target
        return "ok" if reached >= 1 else "near" if reached >= NEAR else "FAIL"

    def __str__(self) -> str:
        median, least, most, target = map(self._shown, (self.median, min(self.rounds), max(self.rounds), self.target))
        bound = "at most" if self.is_part else "at least"
        return f"{self.what} {median} ({least} to {most}), {bound} {target}: {self.verdict}"

    def _shown(self, ratio: float) -> str:
        return f"1/{1 / ratio:.1f}" if self.is_part else f"{ratio:.1f} times"


class Stage:
    """A hub in a process of its own, with as many devices as the rows need."""

    def __init__(self, home: str) -> None:
        # For the hub and every program of ours: nobody else's CA is touched.
        os.environ["FERROHUB_HOME"] = home
        self.hub = LocalHub(process=True, standard_ports=True)

    def __enter__(self) -> Stage:
        self.hub.start()
        changes = [
            ExportImportDevice(
                id=f"device-{number:06}",
                import_mode="create",
                status="enabled",
                tags={"site": f"site {number % 7}", "floor": number % 12},
                properties={
                    "desired": {"interval": number % 60, "firmware": {"version": "1.4.2", "channel": "stable"}}
                },
            )
            for number in range(DEVICES)
        ]
        with IoTHubRegistryManager.from_connection_string(self.hub.connection_string) as manager:
            assert all(result.succeeded for result in manager.bulk(changes))
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.stop()

    def measure(self, side: Side, share: float) -> Measure:
        """Run a program once, with this share of its calls."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(FOLDER),
            "BENCH_CONNECTION_STRING": self.hub.connection_string,
            "BENCH_CALLS": str(max(1, round(side.calls * share))),
            "BENCH_DEVICES": str(DEVICES),
            "BENCH_STARTED": str(time.monotonic()),
            # Whom the official package trusts, over HTTPS and AMQP; ours knows.
            "REQUESTS_CA_BUNDLE": str(self.hub.ca_file),
            **({} if side.python == OURS else {"SSL_CERT_FILE": str(self.hub.ca_file)}),
        }
        command = [str(side.python), str(FOLDER / side.program)]
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        return Measure(**json.loads(ran.stdout.splitlines()[-1]))


def measure(stage: Stage, row: Row, rounds: int, share: float) -> list[tuple[Measure, Measure]]:
    """Ours and the peer's, in turn."""
    if row.ours.calls == 1:
        # What happens once per process is measured with files that have been read before.
        stage.measure(row.ours, 1)
        stage.measure(row.peer, 1)
    return [(stage.measure(row.ours, share), stage.measure(row.peer, share)) for _ in range(rounds)]


def ratios(row: Row, pairs: Sequence[tuple[Measure, Measure]]) -> list[Ratio]:
    """What the row asks for."""
    asked = [Ratio("rate", [ours.rate / peer.rate for ours, peer in pairs], row.rate, False)]
    if row.cpu is not None:
        asked.append(Ratio("CPU", [ours.cpu_per_call / peer.cpu_per_call for ours, peer in pairs], row.cpu, True))
    if row.memory is not None:
        asked.append(Ratio("memory", [ours.memory / peer.memory for ours, peer in pairs], row.memory, True))
    return asked


def described(measures: Sequence[Measure]) -> str:
    """The medians of one side."""
    rate = statistics.median(measure.rate for measure in measures)
    cpu = statistics.median(measure.cpu_per_call for measure in measures)
    return f"{rate:,.0f}/s at {cpu * 1e6:,.0f} µs" if rate > 100 else f"{1000 / rate:,.1f} ms at {cpu * 1000:,.1f} ms"


def machine() -> str:
    """Where this ran."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def main() -> int:
    """Measure, show, and say whether every target is reached."""
    parser = argparse.ArgumentParser(description="Ours beside the official packages, against one local hub.")
    parser.add_argument("--quick", action="store_true", help="three rounds of a third of the calls")
    parser.add_argument("--rows", default="", help="only rows whose name holds this text")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    chosen = parser.parse_args()
    rounds, share = (3, 1 / 3) if chosen.quick else (7, 1.0)
    kept, worst = [], "ok"
    print(f"{rounds} rounds on {machine()}; median (min to max), target\n", flush=True)
    with TemporaryDirectory() as home, Stage(home) as stage:
        for row in (row for row in ROWS if chosen.rows in row.name):
            pairs = measure(stage, row, rounds, share)
            asked = ratios(row, pairs)
            ours, peer = ([pair[side] for pair in pairs] for side in (0, 1))
            print(f"{row.name}\n    ours {described(ours)}; peer {described(peer)}", flush=True)
            for ratio in asked:
                print(f"    {ratio}", flush=True)
                worst = ratio.verdict if ratio.verdict != "ok" else worst
            kept.append({"row": row.name, "ours": [asdict(one) for one in ours], "peer": [asdict(one) for one in peer]})
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"machine": machine(), "rows": kept}, indent=1) + "\n")
    return 0 if worst == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
