"""`make bench`: every row of `rows.py`, ours and the peer's in turn against the same brokers, and a table.

    python benches/run.py [--rounds N] [--quick] [--rows TEXT]

Each round runs each program in a process of its own. A ratio is that of one round; what counts is the median of the
rounds. Exits with 1 if a row is below its target (`near`: by less than 15 %). `--keep FOLDER` keeps figures and a plot.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import results
from rows import ROWS, Row
from stage import ProgramFailed, Stage, in_own_network
from table import Measure, Outcome, median_of, outcomes, shown

HEADINGS = ("", "ours", "peer", "ratio", "least … most", "target", "")
WIDTHS = (8, 12, 12, 11, 24, 13, 6)


def measure(stage: Stage, row: Row, rounds: int, share: float) -> list[tuple[Measure, ...]]:
    """Ours and the peer's, in turn."""
    sides = [side for side in (row.ours, row.peer) if side is not None]
    if row.ours.calls == 1:
        # What happens once per process is measured with files that have been read before.
        for side in sides:
            stage.measure(side, 1)
    return [tuple(stage.measure(side, share) for side in sides) for _ in range(rounds)]


def show(row: Row, rounds: Sequence[tuple[Measure, ...]]) -> list[Outcome]:
    """Print the lines of a row."""
    print(f"{row.name}, beside {row.peer_name}" if row.peer else row.name)
    came_to = outcomes(row.targets, rounds)
    for outcome in came_to:
        what = outcome.target.what
        sides = [
            shown(what, median_of(what, [measures[side] for measures in rounds])) for side in range(len(rounds[0]))
        ]
        cells = (what.value, *sides, *[""] * (2 - len(sides)), *outcome.cells())
        print("    " + "".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS)), flush=True)
    return came_to


def machine() -> str:
    """Where this ran."""
    processor = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE)
        processor = f"{found.group(1)}, {processor}" if found else processor
    return f"{os.cpu_count()} cores ({processor}), {platform.system()}, Python {platform.python_version()}"


def main() -> int:
    """Measure, show, and say whether every target is reached."""
    parser = argparse.ArgumentParser(description="Ours beside the official packages and other clients.")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS") or 7), help="7, or $ROUNDS")
    parser.add_argument("--quick", action="store_true", help="two rounds of a quarter of the calls")
    parser.add_argument("--rows", default="", help="only rows whose name or peer holds this text")
    parser.add_argument("--keep", type=Path, help="write latest.json and latest.svg into this folder")
    chosen = parser.parse_args()
    rounds, share = (2, 1 / 4) if chosen.quick else (chosen.rounds, 1.0)
    print(f"{rounds} rounds on {machine()}")
    print("    " + "".join(cell.ljust(width) for cell, width in zip(HEADINGS, WIDTHS)), flush=True)
    kept, verdicts = [], []
    with Stage() as stage:
        for row in (row for row in ROWS if chosen.rows in f"{row.name}, beside {row.peer_name}"):
            try:
                measured = measure(stage, row, rounds, share)
            except (ProgramFailed, subprocess.SubprocessError, OSError) as failure:
                print(f"{row.name}, beside {row.peer_name}: FAILED: {failure}", flush=True)
                verdicts.append("FAILED")
                continue
            came_to = show(row, measured)
            verdicts += [outcome.verdict for outcome in came_to]
            kept.append(results.entry(row, measured, came_to))
    if chosen.keep is not None:
        results.keep(chosen.keep, machine(), rounds, kept)
    print(", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("ok", "near", "BELOW", "FAILED")))
    return 1 if {"BELOW", "FAILED"} & set(verdicts) else 0


if __name__ == "__main__":
    sys.exit(in_own_network(main))
