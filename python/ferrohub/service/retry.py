"""How often a call is tried and how long it may take: arguments of the managers; the rules are those of `src/service`.

docs/service.md tells which calls are tried again, and when.
"""

from __future__ import annotations

from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_ATTEMPTS = 2**32 - 1
_LONGEST_SECONDS = 2.0**32
"""More than a century: times beyond it can't be added to a clock's."""


def checked_timeout(timeout: float) -> float:
    """The same number of seconds. Raises TypeError if it is no number, ValueError if it is none to wait for."""
    return _checked_seconds("timeout", timeout, above_zero=True)


def checked_policy(retry: Any) -> RetryPolicy:
    """The same policy, or the usual one for None. Raises TypeError for anything else."""
    if retry is None:
        return RetryPolicy()
    if not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry must be a ferrohub.service.RetryPolicy, not {retry!r}")
    return retry


class RetryPolicy:
    """How often a call is tried in all, and how long it pauses before it is tried again.

    Pauses double: after the first attempt none, then 2, 4, 8 … times `backoff` seconds, `longest_pause` at most; after
    a throttled attempt 2, 4, 8 … times from the first on. What the hub asks for (`Retry-After`) counts instead. No call
    takes longer than its timeout, pauses included. Raises TypeError for what is no number, ValueError for one that
    makes no sense.
    """

    __slots__ = ("attempts", "backoff", "longest_pause")

    def __init__(self, attempts: int = 4, backoff: float = 0.8, longest_pause: float = 120.0) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int):
            raise TypeError(f"attempts must be an int, not {attempts!r}")
        if not 1 <= attempts <= _MOST_ATTEMPTS:
            raise ValueError(f"attempts must be 1 to {_MOST_ATTEMPTS}, not {attempts}: the first attempt counts")
        self.attempts = attempts
        self.backoff = _checked_seconds("backoff", backoff)
        self.longest_pause = _checked_seconds("longest_pause", longest_pause)

    def __repr__(self) -> str:
        return f"RetryPolicy(attempts={self.attempts}, backoff={self.backoff}, longest_pause={self.longest_pause})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RetryPolicy) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash((self.attempts, self.backoff, self.longest_pause))


def _checked_seconds(name: str, value: Any, *, above_zero: bool = False) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    seconds = float(value)
    if not isfinite(seconds) or seconds < 0 or (above_zero and seconds == 0):
        raise ValueError(f"{name} must be a number of seconds {'above' if above_zero else 'from'} 0, not {value}")
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"{name} must be at most {_LONGEST_SECONDS:.0f} seconds, not {value}")
    return seconds
