"""A plot of kept results: how many messages a second each client sends to Mosquitto, and at what CPU time.

python benches/plot.py LATEST.json > LATEST.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

OF_OURS = {
    "send_messages(1000), mosquitto": "ferrohub, send_messages(1000)",
    "submit, 64 at once, mosquitto": "ferrohub, submit",
    "await send_message, gather of 64, mosquitto": "ferrohub, await send_message",
}
OF_PEERS = "await send_message, gather of 64, mosquitto"
LEFT, BARS, GAP, LINE, TOP = 240, 230, 120, 26, 34
OURS, PEERS, TEXT = "#c2571a", "#8a97a8", "#222"


def bars(document: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """Name, messages a second, microseconds of CPU per message, and whether it is ours; the fastest first."""
    found: dict[str, tuple[str, float, float, bool]] = {}
    for row in document["rows"]:
        for side, figures in enumerate(row["medians"]):
            name = OF_OURS.get(row["row"], "") if side == 0 else row["peer"] if row["row"] == OF_PEERS else ""
            if name and name not in found:
                found[name] = (name, figures["rate"], figures["CPU"] * 1e6, side == 0)
    return sorted(found.values(), key=lambda bar: -bar[1])


def drawn(document: dict[str, Any]) -> str:
    """The plot as SVG."""
    found = bars(document)
    lines = [_text(LEFT - 10, TOP + number * LINE + 14, bar[0], "end") for number, bar in enumerate(found)]
    lines += _column(LEFT, "messages a second", [(bar[1], bar[3]) for bar in found])
    lines += _column(LEFT + BARS + GAP, "µs of CPU a message", [(bar[2], bar[3]) for bar in found])
    width, height = LEFT + 2 * (BARS + GAP), TOP + len(found) * LINE + 30
    foot = f"256 bytes, QoS 1, TLS, Mosquitto on loopback; median of {document['rounds']} rounds; {document['machine']}"
    lines.append(_text(10, height - 12, foot, size=11))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *lines, "</svg>"]) + "\n"


def _column(left: int, title: str, values: list[tuple[float, bool]]) -> list[str]:
    """Bars under one another; each says whether it is ours."""
    longest = max((value for value, _ in values), default=1)
    lines = [_text(left, 20, title)]
    for number, (value, is_ours) in enumerate(values):
        top, length, color = TOP + number * LINE, max(1, value / longest * BARS), OURS if is_ours else PEERS
        lines.append(f'<rect x="{left}" y="{top}" width="{length:.1f}" height="18" fill="{color}"/>')
        lines.append(_text(left + length + 6, top + 14, f"{value:,.0f}" if value >= 100 else f"{value:.1f}"))
    return lines


def _text(left: float, top: float, text: str, anchor: str = "start", size: int = 13) -> str:
    place = f'x="{left:.1f}" y="{top}" text-anchor="{anchor}" font-size="{size}" fill="{TEXT}"'
    return f"<text {place}>{escape(text)}</text>"


if __name__ == "__main__":
    sys.stdout.write(drawn(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
