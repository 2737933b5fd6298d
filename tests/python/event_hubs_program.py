"""Read events with the official client of Event Hubs: `event_hubs_program.py CONNECTION_STRING CA_FILE WAY TRANSPORT`.

WAY is sync or asyncio, TRANSPORT tcp or websockets. Lines of JSON come in, each a call of a function here with its
options; the outcome of each goes out as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from datetime import datetime, timezone
from typing import Any, Callable

from azure.eventhub import EventHubConsumerClient, TransportType
from azure.eventhub.aio import EventHubConsumerClient as AwaitedClient

PATIENCE = 30


def told(partition: str, event: Any) -> dict[str, Any]:
    """An event, with all that it has."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode()
        return value if isinstance(value, (int, str, type(None))) else str(value)

    return {
        "partition": partition,
        "sequence": event.sequence_number,
        "offset": event.offset,
        "enqueued": event.enqueued_time.timestamp(),
        "body": event.body_as_str(),
        "properties": {plain(name): plain(value) for name, value in event.properties.items()},
        "system": {plain(name): plain(value) for name, value in event.system_properties.items()},
    }


def position(given: Any) -> Any:
    """A position as the client takes it; a time is given as `{"time": seconds}`."""
    if not isinstance(given, dict) or "time" not in given:
        return given
    return datetime.fromtimestamp(given["time"], timezone.utc)


class Program:
    """The calls."""

    def __init__(self, connection_string: str, ca_file: str, way: str, transport: str) -> None:
        self._connection_string = connection_string
        self._is_awaited = way == "asyncio"
        endpoint = re.search("Endpoint=(sb://[^/]*)/", connection_string)
        assert endpoint
        self._options = {
            "custom_endpoint_address": endpoint[1],
            "connection_verify": ca_file,
            "transport_type": TransportType.Amqp if transport == "tcp" else TransportType.AmqpOverWebsocket,
            "retry_total": 0,
        }

    def _client(self, group: str = "$Default", connection_string: str = "", **options: Any) -> Any:
        cls = AwaitedClient if self._is_awaited else EventHubConsumerClient
        text = connection_string or self._connection_string
        return cls.from_connection_string(text, group, **{**self._options, **options})

    def properties(self, **of: str) -> Any:
        """What the endpoint and its partitions tell."""

        def told(properties: dict[str, Any]) -> dict[str, Any]:
            return {name: str(value) if isinstance(value, datetime) else value for name, value in properties.items()}

        async def ask() -> Any:
            async with self._client(**of) as client:
                endpoint = await client.get_eventhub_properties()
                ids = endpoint["partition_ids"]
                return [told(endpoint), [told(await client.get_partition_properties(one)) for one in ids]]

        if self._is_awaited:
            return asyncio.run(ask())
        with self._client(**of) as client:
            endpoint = client.get_eventhub_properties()
            ids = endpoint["partition_ids"]
            return [told(endpoint), [told(client.get_partition_properties(one)) for one in ids]]

    def read(
        self,
        count: int,
        start: Any = "-1",
        inclusive: bool = False,
        partition: str | None = None,
        group: str = "$Default",
        connection_string: str = "",
        tells_begin: bool = False,
        **options: Any,
    ) -> Any:
        """So many events from a position on; what went wrong, if something did. `"reading"` goes out with the first."""
        events: list[dict[str, Any]] = []
        errors: list[Exception] = []

        def take(context: Any, batch: list[Any]) -> bool:
            if tells_begin and batch and not events:
                print(json.dumps("reading"), flush=True)
            events.extend(told(context.partition_id, event) for event in batch)
            if batch and options.get("track_last_enqueued_event_properties"):
                last = context.last_enqueued_event_properties
                events[-1]["last"] = {name: str(value) for name, value in last.items()}
            return len(events) >= count

        arguments = {
            "starting_position": position(start),
            "starting_position_inclusive": inclusive,
            "partition_id": partition,
            "max_wait_time": 0.1,
            **options,
        }
        client = self._client(group, connection_string)
        (self._read_awaited if self._is_awaited else self._read)(client, arguments, take, errors.append)
        if errors:
            return {"error": type(errors[0]).__name__, "text": str(errors[0])}
        return events

    def _read(
        self, client: Any, arguments: dict[str, Any], take: Callable[..., bool], fail: Callable[..., Any]
    ) -> None:
        done = threading.Event()

        def on_batch(context: Any, batch: list[Any]) -> None:
            if not done.is_set() and take(context, batch):
                done.set()

        def on_error(context: Any, error: Exception) -> None:
            fail(error)
            done.set()

        reading = threading.Thread(
            target=client.receive_batch, args=[on_batch], kwargs={"on_error": on_error, **arguments}
        )
        reading.start()
        if not done.wait(PATIENCE):
            fail(TimeoutError("too few events came"))
        client.close()
        reading.join()

    def _read_awaited(
        self, client: Any, arguments: dict[str, Any], take: Callable[..., bool], fail: Callable[..., Any]
    ) -> None:
        async def read() -> None:
            done = asyncio.Event()

            async def on_batch(context: Any, batch: list[Any]) -> None:
                if not done.is_set() and take(context, batch):
                    done.set()

            async def on_error(context: Any, error: Exception) -> None:
                fail(error)
                done.set()

            reading = asyncio.ensure_future(client.receive_batch(on_batch, on_error=on_error, **arguments))
            try:
                await asyncio.wait_for(done.wait(), PATIENCE)
            except asyncio.TimeoutError:
                fail(TimeoutError("too few events came"))
            await client.close()
            # By itself it ends half a minute later.
            reading.cancel()

        asyncio.run(read())


def main(*arguments: str) -> None:
    """Carry out what comes."""
    program = Program(*arguments)
    for line in sys.stdin:
        call = json.loads(line)
        try:
            outcome = getattr(program, call.pop("call"))(**call)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcome = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
