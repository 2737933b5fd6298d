"""What devices sent, as `LocalHub` tells it: one message at a time, all there are, or as they come."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from typing_extensions import Self


class TelemetryMessage(NamedTuple):
    """A message that a device or module sent."""

    device_id: str
    module_id: str | None
    body: bytes
    properties: dict[str, str]
    """Application properties under their names, system properties under theirs, such as `$.mid` and `$.ct`."""
    enqueued_time: datetime
    """When the hub received it, in UTC."""
    duplicate: bool
    """Whether the sender said that it may have sent it before (DUP), which clients do after a lost connection."""


class Events:
    """The messages that devices and modules send, as they come; see `LocalHub.events`."""

    def __init__(self, ask: Callable[..., tuple[Any, Exception | None]], timeout: float) -> None:
        self._ask = ask
        self._timeout = timeout
        self._next = 0
        self._page: deque[TelemetryMessage] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TelemetryMessage:
        """The next message; waits for it."""
        if not self._page and (error := self._turn_page()) is not None:
            raise error
        if not self._page:
            raise StopIteration
        return self._page.popleft()

    def _turn_page(self) -> Exception | None:
        answer, error = self._ask(call="events", timeout=self._timeout, **{"from": self._next})
        if error is not None:
            return error
        if answer is None:
            return None
        lost = answer["first"] - self._next if self._next else 0
        self._page.extend(telemetry_message(message) for message in answer["messages"])
        self._next = answer["next"]
        if lost:
            return RuntimeError(f"{lost} messages came faster than they were read, and the hub has forgotten them")
        return None


def telemetry_message(message: dict[str, Any]) -> TelemetryMessage:
    """A message from the hub's JSON."""
    from base64 import b64decode
    from urllib.parse import unquote

    pairs = (pair.partition("=") for pair in message["properties"].split("&") if pair)
    return TelemetryMessage(
        device_id=message["device"],
        module_id=message["module"],
        body=b64decode(message["body"]),
        properties={unquote(name): unquote(value) for name, _, value in pairs},
        enqueued_time=moment(message["enqueuedUnixMillis"]),
        duplicate=message["duplicate"],
    )


def moment(unix_millis: int) -> datetime:
    """A time of the hub's JSON."""
    from datetime import datetime, timedelta, timezone

    return datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=unix_millis)
