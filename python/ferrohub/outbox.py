"""An outbox: telemetry is kept on disk until the hub has it."""

from __future__ import annotations

import os

from ferrohub._native import recover_outbox
from ferrohub.device._errors import translated
from ferrohub.device.exceptions import OutboxError, OutboxFullError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    WhenFull = Literal["block", "raise", "drop_oldest"]

__all__ = ["Outbox", "OutboxError", "OutboxFullError"]

MAX_BYTES = 256 << 20
_WAYS = ("block", "raise", "drop_oldest")


class Outbox:
    """Where a client keeps its telemetry until the hub has it; given to a factory as `outbox=`.

    Then `send_message`, `send_messages` and `submit` are done when the message is on disk, connected or not. The client
    sends what is stored in the order of the calls, connects for it by itself (unless `auto_connect=False`), and
    deletes what the hub has acknowledged. What is left at the end of the program, however it ends, is sent by the next
    client with this file. Every message arrives at least once; after a crash some may arrive twice.

    `client.flush()` waits until all is delivered; `client.statistics` counts. What is given up on the way is told to
    `on_background_exception`, and logged without it. One client at a time has the file, always of the same device or
    module; it is made with mode 0600. Nothing happens to it before the client is made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_messages: int | None = None,
        max_bytes: int | None = MAX_BYTES,
        when_full: WhenFull = "block",
        ttl: float | None = None,
    ) -> None:
        """Say where and how much.

        Args:
            path: The file; its folder must exist. It grows to about twice the bytes that wait in it, and shrinks when
                a client opens it empty.
            max_messages: At most so many messages; None: any number.
            max_bytes: At most so many bytes of properties and bodies, 256 MiB; None: as many as the disk holds.
            when_full: What happens to a message for which there is no room. "block": its call waits for room, at most
                its timeout, then raises OperationTimeout ("never stored"). "raise": its call raises OutboxFullError.
                "drop_oldest": the oldest messages that are not in flight make room, and are counted as `dropped`.
            ttl: Seconds that a message may wait, by this machine's clock; later it is given up and counted as
                `expired`. None: for ever.

        Raises:
            TypeError, ValueError: An argument can't be used.
        """
        self.path = os.fspath(path)
        if not isinstance(self.path, str):
            raise TypeError("path must be a str or a path of str, not bytes")
        self.max_messages = _at_least_one("max_messages", max_messages)
        self.max_bytes = _at_least_one("max_bytes", max_bytes)
        if when_full not in _WAYS:
            raise ValueError(f"when_full must be one of {', '.join(map(repr, _WAYS))}, not {when_full!r}")
        self.when_full = when_full
        self.ttl = _seconds(ttl)

    def __repr__(self) -> str:
        return f"Outbox({self.path!r})"

    def recover(self) -> int | None:
        """Take what can still be read from a damaged file into a new one in its place.

        The damaged file is kept beside it, as `<path>.damaged`. Returns how many messages there are, some of which may
        have been delivered before; None if the file is whole, which then stays as it is. Raises OutboxError if nothing
        can be read, or a client has the file open.
        """
        with translated():
            return recover_outbox(self.path)


def _at_least_one(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    if not 1 <= value < 1 << 63:
        raise ValueError(f"{name} must be at least 1 and less than 2**63, not {value}")
    return value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"ttl must be a number of seconds or None, not {type(value).__name__}")
    if not 0 < value < float("inf"):
        raise ValueError(f"ttl must be a number of seconds above 0, not {value}")
    return float(value)
