"""Measures, what they come to, and how that stands beside a target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

NEAR = 0.85


@dataclass(frozen=True)
class Measure:
    """One round of one program: seconds and bytes."""

    calls: int
    seconds: float
    cpu: float
    memory: int
    sent: int = 0
    p99: float = 0

    def value(self, what: What) -> float:
        """The figure that a target is about."""
        values = {
            What.RATE: self.calls / self.seconds,
            What.CPU: self.cpu / self.calls,
            What.MEMORY: self.memory / self.calls,
            What.P99: self.p99,
            What.SECONDS: self.seconds,
        }
        return values[what]


class What(Enum):
    """What a target is about."""

    RATE = "rate"
    CPU = "CPU"
    MEMORY = "memory"
    P99 = "p99"
    SECONDS = "time"


@dataclass(frozen=True)
class Target:
    """At least so many times the peer's, or at most this part of it; without a peer, seconds or bytes at most."""

    what: What
    bound: float

    @property
    def is_floor(self) -> bool:
        """Whether more is better."""
        return self.what is What.RATE


@dataclass(frozen=True)
class Outcome:
    """What a row came to in one respect: ratios to the peer, or figures if it has none, round by round."""

    target: Target
    rounds: Sequence[float]
    has_peer: bool

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.rounds)

    @property
    def verdict(self) -> str:
        """`ok`, `near` (by less than 15 %) or `BELOW`."""
        reached = self.median / self.target.bound if self.target.is_floor else self.target.bound / self.median
        return "ok" if reached >= 1 else "near" if reached >= NEAR else "BELOW"

    def cells(self) -> tuple[str, str, str, str]:
        """Median, least to most, target, verdict."""
        least, most = self._shown(min(self.rounds)), self._shown(max(self.rounds))
        bound = ("≥ " if self.target.is_floor else "≤ ") + self._shown(self.target.bound)
        return self._shown(self.median), f"{least} … {most}", bound, self.verdict

    def _shown(self, value: float) -> str:
        if not self.has_peer:
            return shown(self.target.what, value)
        return f"{value:.2f} x" if self.target.is_floor or value > 0.5 else f"1/{1 / value:.1f}"


def outcomes(targets: Sequence[Target], rounds: Sequence[tuple[Measure, ...]]) -> list[Outcome]:
    """What a row asks for. A round has our measure, and the peer's if there is one."""

    def ratio(target: Target, measures: tuple[Measure, ...]) -> float:
        ours, *peers = (max(measure.value(target.what), 1e-9) for measure in measures)
        return ours / peers[0] if peers else ours

    has_peer = len(rounds[0]) > 1
    return [Outcome(target, [ratio(target, measures) for measures in rounds], has_peer) for target in targets]


def shown(what: What, value: float) -> str:
    """A figure with its unit."""
    if what is What.RATE:
        return f"{value:,.0f}/s" if value >= 100 else f"{value:.3g}/s"
    if what is What.MEMORY:
        return f"{value / 1024:,.0f} KB" if value < 10 << 20 else f"{value / (1 << 20):.1f} MB"
    return f"{value * 1e6:,.1f} µs" if value < 1e-3 else f"{value * 1e3:,.1f} ms"


def median_of(what: What, measures: Sequence[Measure]) -> float:
    """Of one side's rounds."""
    return statistics.median(measure.value(what) for measure in measures)
