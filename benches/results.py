"""What is kept of a run: `latest.json` with every round, `latest.md` with what it came to, and the plot `latest.svg`.

python benches/results.py FOLDER: the page and the plot again, from the figures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plot
from rows import Row
from table import Measure, Outcome, Target, What, median_of


def entry(row: Row, rounds: Sequence[tuple[Measure, ...]], came_to: Sequence[Outcome]) -> dict[str, Any]:
    """A row as it is kept."""
    sides = [[measures[side] for measures in rounds] for side in range(len(rounds[0]))]
    return {
        "row": row.name,
        "peer": row.peer_name,
        "targets": [
            {
                "what": outcome.target.what.value,
                "median": outcome.median,
                "least": min(outcome.rounds),
                "most": max(outcome.rounds),
                "target": outcome.target.bound,
                "verdict": outcome.verdict,
            }
            for outcome in came_to
        ],
        "medians": [{what.value: median_of(what, measures) for what in What} for measures in sides],
        "rounds": [[asdict(measure) for measure in measures] for measures in rounds],
    }


def keep(folder: Path, machine: str, rounds: int, entries: list[dict[str, Any]]) -> None:
    """Write all of it."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "rounds": rounds, "rows": entries}
    (folder / "latest.json").write_text(json.dumps(document, indent=1) + "\n")
    show(folder, document)


def show(folder: Path, document: dict[str, Any]) -> None:
    """Write what is made of the figures."""
    (folder / "latest.md").write_text(page(document), encoding="utf-8")
    (folder / "latest.svg").write_text(plot.drawn(document), encoding="utf-8")


def page(document: dict[str, Any]) -> str:
    """A line for each row."""
    about = (
        f"One run of `make bench` on {document['machine']}: medians of {document['rounds']} rounds. Rates and CPU "
        "times per call are ratios to the peer's; `near` is less than 15 % from the target, `BELOW` is more."
    )
    head = ["# Figures", "", about, "", "| row | beside | ratios, and targets | |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *(line(row) for row in document["rows"])]) + "\n"


def line(row: dict[str, Any]) -> str:
    """A row as the page and the README have it."""
    has_peer = len(row["medians"]) > 1
    ratios, verdicts = [], []
    for kept in row["targets"]:
        target = Target(What(kept["what"]), kept["target"])
        median, _, bound, verdict = Outcome(target, (kept["least"], kept["median"], kept["most"]), has_peer).cells()
        ratios.append(f"{kept['what']} {median} ({bound})")
        verdicts.append(verdict)
    worst = max(verdicts, key=("ok", "near", "BELOW").index)
    return f"| {row['row']} | {row['peer']} | {', '.join(ratios)} | {worst} |"


if __name__ == "__main__":
    show(Path(sys.argv[1]), json.loads((Path(sys.argv[1]) / "latest.json").read_text()))
