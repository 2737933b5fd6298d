"""How often a call is tried, as an argument of the managers. The rules themselves are the core's, see `src/service`.

docs/service.md tells which calls are tried again, and when.
"""

from __future__ import annotations


class RetryPolicy:
    """How often a call is tried in all, and how long it pauses before it is tried again.

    Pauses double: after the first attempt none, then 2, 4, 8 … times `backoff` seconds, `longest_pause` at most; after
    a throttled attempt 2, 4, 8 … times from the first on. What the hub asks for (`Retry-After`) counts instead. No call
    takes longer than its timeout, pauses included. Raises ValueError for numbers that make no sense.
    """

    __slots__ = ("attempts", "backoff", "longest_pause")

    def __init__(self, attempts: int = 4, backoff: float = 0.8, longest_pause: float = 120.0) -> None:
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, not {attempts}: the first attempt counts")
        for name, value in (("backoff", backoff), ("longest_pause", longest_pause)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a number of seconds from 0 on, not {value}")
        self.attempts = attempts
        self.backoff = backoff
        self.longest_pause = longest_pause

    def __repr__(self) -> str:
        return f"RetryPolicy(attempts={self.attempts}, backoff={self.backoff}, longest_pause={self.longest_pause})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RetryPolicy) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash((self.attempts, self.backoff, self.longest_pause))
