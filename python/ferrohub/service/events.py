"""Reading events: what devices sent, from the hub's built-in endpoint, which is one of Event Hubs.

    for event in manager.events(start="earliest", timeout=5):
        print(event.device_id, event.json())

The core finds the endpoint, keeps the connection and goes on behind the last event after a loss; see
`src/service/amqp/events`.
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-read-builtin
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from ferrohub._frames import one_frame, one_frame_async
from ferrohub._native import CoreError, Event
from ferrohub._native import EventReader as NativeReader
from ferrohub.service import loops, message_errors
from ferrohub.service.event_defaults import DEFAULT_CONSUMER_GROUP, DEFAULT_PREFETCH
from ferrohub.service.readers import AnyReader, AsyncReader, Reader
from ferrohub.service.transport_type import TransportType, transport_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Union

    from typing_extensions import Self

    from ferrohub.service.authentication import Authorization

    Place = Union[str, int, dt.datetime]
    Start = Union[str, dt.datetime, Mapping[str, Place]]
    PlaceParts = tuple[Union[str, None], str, str]
    OptionParts = tuple[Union[list[str], None], str, int, list[PlaceParts]]

__all__ = ["AsyncEventReader", "Event", "EventReader"]

_EARLIEST_OFFSET = "-1"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MILLISECOND = dt.timedelta(milliseconds=1)


class Options(NamedTuple):
    """What to read, as `IoTHubRegistryManager.events` has it."""

    start: Start
    partitions: Iterable[str] | None
    consumer_group: str
    timeout: float | None
    prefetch: int

    def parts(self) -> OptionParts:
        """What the core takes. Raises TypeError and ValueError."""
        if isinstance(self.partitions, str):
            raise TypeError(f'partitions must be several, for instance ["{self.partitions}"]')
        if self.prefetch < 1:
            raise ValueError(f"prefetch must be at least 1, not {self.prefetch}")
        partitions = None if self.partitions is None else [str(partition) for partition in self.partitions]
        return partitions, self.consumer_group, self.prefetch, _start_parts(self.start)


def _start_parts(start: Start) -> list[PlaceParts]:
    if start == "latest":
        return [(None, "latest", "")]
    if start == "earliest":
        return [(None, "offset", _EARLIEST_OFFSET)]
    if isinstance(start, dt.datetime):
        return [(None, *_place_parts(start))]
    if isinstance(start, str) or not hasattr(start, "items"):
        raise ValueError(
            f'start must be "latest", "earliest", a datetime, or the position of a reader'
            f" ({{partition: offset}}), not {start!r}"
        )
    return [(str(partition), *_place_parts(place)) for partition, place in start.items()]


def _place_parts(place: Place) -> tuple[str, str]:
    if isinstance(place, dt.datetime):
        if place.tzinfo is None:
            raise ValueError("a datetime to start from needs a time zone: datetime.now(timezone.utc), for instance")
        return "time", str((place - _EPOCH) // _MILLISECOND)
    if isinstance(place, str):
        return "offset", place
    if isinstance(place, int) and not isinstance(place, bool):
        return "sequence", str(place)
    raise TypeError(f"a place in a partition is an offset (str), a sequence number (int) or a datetime, not {place!r}")


def _place(kind: str, value: str) -> Place:
    if kind == "time":
        return _EPOCH + int(value) * _MILLISECOND
    return int(value) if kind == "sequence" else value


class AnyEventReader(AnyReader):
    """What readers of both kinds have."""

    _reader: NativeReader

    @classmethod
    @one_frame
    def from_connection_string(
        cls,
        connection_string: str,
        transport_type: Any = TransportType.Amqp,
        *,
        start: Start = "latest",
        partitions: Iterable[str] | None = None,
        consumer_group: str = DEFAULT_CONSUMER_GROUP,
        timeout: float | None = None,
        prefetch: int = DEFAULT_PREFETCH,
    ) -> Self:
        """A reader for the connection string of an endpoint that is compatible with Event Hubs.

        `Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…`, as the Azure portal shows it for the
        built-in endpoint and `ferrohub up` prints it. The other arguments are those of
        `IoTHubRegistryManager.events`. Raises ValueError if it is none.
        """
        options = Options(start, partitions, consumer_group, timeout, prefetch)
        websocket = transport_of(transport_type) is TransportType.AmqpOverWebsocket
        try:
            reader = NativeReader.of_event_hub(connection_string, websocket, options.parts())
        except CoreError as error:
            raise message_errors.from_core(error) from None
        return cls(reader, None, timeout)

    @classmethod
    def of_hub(
        cls, host_name: str, authorization: Authorization, transport_type: TransportType, options: Options
    ) -> Self:
        """A reader of a hub's events."""
        websocket = transport_type is TransportType.AmqpOverWebsocket
        policy, key = authorization.policy_name, authorization.key
        try:
            reader = NativeReader(host_name, websocket, policy, key, options.parts())
        except CoreError as error:
            raise message_errors.from_core(error) from None
        return cls(reader, authorization, options.timeout)

    @property
    def position(self) -> dict[str, Place]:
        """How far this reader is: for each partition the offset of the last event that it gave.

        Another reader goes on there: `manager.events(start=reader.position)`. Where there was no event yet, it is the
        place where this one began. Empty until the hub has said which partitions there are.
        """
        return {partition: _place(kind, value) for partition, kind, value in self._reader.position()}


class EventReader(AnyEventReader, Reader):
    """An iterator of events, which waits for the next one. Ctrl-C ends the wait; `close` ends the loop.

    It may be iterated from several threads: each event comes once. Leaving it to be collected closes it too.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """The next event, in the order of its partition. Raises the errors of `ferrohub.service.message_errors`."""
        event = self._reader.next()
        while event is None:
            if not self._wait():
                raise StopIteration
            event = self._reader.next()
        return event

    @one_frame
    def close(self) -> None:
        """End the connection, and every loop over this reader."""
        self._closed = True
        self._reader.close().wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncEventReader(AnyEventReader, AsyncReader):
    """An asynchronous iterator of events. A task that is cancelled while it waits loses nothing for the next one."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event, in the order of its partition. Raises the errors of `ferrohub.service.message_errors`."""
        event = self._reader.next()
        while event is None:
            if not await self._wait():
                raise StopAsyncIteration
            event = self._reader.next()
        return event

    @one_frame_async
    async def close(self) -> None:
        """End the connection, and every loop over this reader."""
        self._closed = True
        await loops.for_messages().run(self._reader.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
