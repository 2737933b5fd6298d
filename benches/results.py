"""What is kept of a run: `latest.json` with every round, `latest.svg` with how many messages a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plot
from rows import Row
from table import Measure, Outcome, What, median_of


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
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "rounds": rounds, "rows": entries}
    (folder / "latest.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "latest.svg").write_text(plot.drawn(document))
