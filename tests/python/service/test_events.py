"""`manager.events()` against a local hub: what an event tells, where reading begins, and what it survives."""

from __future__ import annotations

import _thread
import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message
from azure.iot.hub import IoTHubRegistryManager, aio
from ferrohub import LocalHub
from ferrohub.service import Event, EventReader, TransportType
from ferrohub.service.message_errors import AMQPConnectionError, MessageRejected, MessageTimeout, TokenAuthFailure

TRANSPORTS = list(TransportType)
SECONDS = 20
QUIET = 0.5
"""After so long without an event there is none."""


def blocking(hub: LocalHub, transport: TransportType = TransportType.Amqp, **options: Any) -> list[Event]:
    with IoTHubRegistryManager(hub.connection_string, transport_type=transport) as manager:
        return list(manager.events(**{"start": "earliest", "timeout": QUIET, **options}))


def awaited(hub: LocalHub, transport: TransportType = TransportType.Amqp, **options: Any) -> list[Event]:
    async def read() -> list[Event]:
        manager = aio.IoTHubRegistryManager(hub.connection_string, transport_type=transport)
        async with manager.events(**{"start": "earliest", "timeout": QUIET, **options}) as events:
            return [event async for event in events]

    return asyncio.run(read())


FACES = pytest.mark.parametrize("read", [blocking, awaited])
Read = Callable[..., list[Event]]


def create(hub: LocalHub, *devices: str) -> None:
    with IoTHubRegistryManager(hub.connection_string) as manager:
        for device in devices:
            manager.create_device_with_sas(device, "", "", "enabled")


def send(hub: LocalHub, device: str, *bodies: Any) -> None:
    client = IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(device))
    client.send_messages(bodies)
    client.shutdown()


def bodies(events: list[Event]) -> list[str]:
    return [event.body.decode() for event in events]


def telemetry(events: list[Event]) -> list[Event]:
    return [event for event in events if event.message_source == "Telemetry"]


@FACES
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_event_tells_all_that_the_device_and_the_hub_say(
    hub: LocalHub, module_connection_string: str, read: Read, transport: TransportType
) -> None:
    before = datetime.now(timezone.utc)
    client = IoTHubModuleClient.create_from_connection_string(module_connection_string)
    message = Message(json.dumps({"temperature": 21.5}), message_id="m-1", content_encoding="utf-8")
    message.content_type = "application/json"
    message.correlation_id = "c-1"
    message.custom_properties = {"room": "größer", "empty": ""}
    client.send_message(message)
    client.send_message(b"\0\xff")
    client.shutdown()
    first, second = telemetry(read(hub, transport))
    assert (first.body, first.json()) == (b'{"temperature": 21.5}', {"temperature": 21.5})
    assert first.properties == {"room": "größer", "empty": ""}
    assert (first.message_id, first.correlation_id) == ("m-1", "c-1")
    assert (first.content_type, first.content_encoding) == ("application/json", "utf-8")
    device, module = client_names(module_connection_string)
    assert (first.device_id, first.module_id, first.message_source) == (device, module, "Telemetry")
    assert json.loads(first.auth_method or "")["scope"] == "module"
    assert first.auth_generation_id
    assert (first.dataschema, first.subject) == (None, None)
    assert first.enqueued_time is not None
    assert before - timedelta(seconds=1) < first.enqueued_time < datetime.now(timezone.utc) + timedelta(seconds=1)
    assert second.sequence_number == (first.sequence_number or 0) + 1
    assert int(second.offset or 0) > int(first.offset or 0)
    everything = first.system_properties
    assert everything["iothub-connection-device-id"] == device
    assert everything["x-opt-enqueued-time"] == first.enqueued_time
    assert everything["message_id"] == "m-1"
    assert second.body == b"\0\xff"
    with pytest.raises(ValueError, match="char 0"):
        second.json()
    with pytest.raises(AttributeError):
        first.body = b""  # type: ignore[misc]
    assert f"of {device}/{module}>" in repr(first)


def client_names(connection_string: str) -> tuple[str, str]:
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    return parts["DeviceId"], parts["ModuleId"]


@FACES
def test_reading_begins_where_it_is_told(hub: LocalHub, read: Read) -> None:
    create(hub, "d")
    send(hub, "d", *"abc")
    events = telemetry(read(hub))
    assert bodies(events) == ["a", "b", "c"]
    middle = events[1]
    assert bodies(telemetry(read(hub, start={middle.partition: middle.offset}))) == ["c"]
    assert bodies(telemetry(read(hub, start={middle.partition: middle.sequence_number}))) == ["c"]
    assert middle.enqueued_time is not None
    assert bodies(telemetry(read(hub, start=middle.enqueued_time)))[-1] == "c"
    assert read(hub, start=datetime.now(timezone.utc) + timedelta(hours=1)) == []
    assert read(hub, start="latest") == []
    assert bodies(telemetry(read(hub, partitions=[middle.partition]))) == ["a", "b", "c"]
    others = {"0", "1"} - {middle.partition}
    assert telemetry(read(hub, partitions=others)) == []


def test_a_reader_goes_on_where_another_was(hub: LocalHub) -> None:
    devices = [f"d{number}" for number in range(8)]
    create(hub, *devices)
    for device in devices:
        send(hub, device, "1", "2", "3")
    manager = IoTHubRegistryManager(hub.connection_string)
    first = manager.events("earliest", timeout=QUIET)
    assert first.position == {}
    seen = [next(first) for _ in range(10)]
    position = json.loads(json.dumps(first.position))
    assert len(position) == 4
    rest = list(manager.events(position, timeout=QUIET))
    every = [(event.device_id, event.body) for event in telemetry(seen + rest)]
    assert sorted(every) == sorted((device, body) for device in devices for body in (b"1", b"2", b"3"))
    assert len(rest) == 14


def test_latest_is_from_the_first_answer_of_the_hub_also_where_nothing_came_yet(hub: LocalHub) -> None:
    create(hub, "d")
    send(hub, "d", "old")
    manager = IoTHubRegistryManager(hub.connection_string)
    reader = manager.events(timeout=QUIET)
    assert list(reader) == []
    send(hub, "d", "new")
    # Nothing was read yet, but the place is known.
    assert bodies(telemetry(list(manager.events(reader.position, timeout=QUIET)))) == ["new"]
    assert bodies(telemetry(list(reader))) == ["new"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_connection_string_of_event_hubs_is_enough(hub: LocalHub, transport: TransportType) -> None:
    create(hub, "d")
    send(hub, "d", "x")
    text = hub.event_hubs_connection_string
    with EventReader.from_connection_string(text, transport, start="earliest", timeout=QUIET) as events:
        assert bodies(telemetry(list(events))) == ["x"]

    async def read() -> list[Event]:
        reader = aio.EventReader.from_connection_string(text, transport, start="earliest", timeout=QUIET)
        return [event async for event in reader]

    assert bodies(telemetry(asyncio.run(read()))) == ["x"]
    with pytest.raises(ValueError, match="no EntityPath"):
        EventReader.from_connection_string(text.partition(";EntityPath")[0])


def test_a_task_that_stops_waiting_loses_nothing(hub: LocalHub) -> None:
    create(hub, "d")

    async def read() -> list[str]:
        seen: list[str] = []
        async with aio.IoTHubRegistryManager(hub.connection_string) as manager:
            events = manager.events("earliest")
            sending = threading.Thread(target=send, args=(hub, "d", *(str(number) for number in range(200))))
            sending.start()
            while len(seen) < 200:
                try:
                    event = await asyncio.wait_for(anext_of(events), 0.001)
                except asyncio.TimeoutError:
                    continue
                seen += bodies(telemetry([event]))
            sending.join()
            await events.close()
        return seen

    assert asyncio.run(asyncio.wait_for(read(), SECONDS)) == [str(number) for number in range(200)]


async def anext_of(events: Any) -> Event:
    event: Event = await events.__anext__()
    return event


def test_close_ends_the_loop_of_another_thread(hub: LocalHub) -> None:
    reader = IoTHubRegistryManager(hub.connection_string).events()
    threading.Timer(QUIET, reader.close).start()
    assert telemetry(list(reader)) == []
    assert list(reader) == []


def test_close_ends_the_loop_of_another_task(hub: LocalHub) -> None:
    async def read() -> None:
        events = aio.IoTHubRegistryManager(hub.connection_string).events()
        asyncio.get_running_loop().call_later(QUIET, lambda: closing.append(asyncio.ensure_future(events.close())))
        closing: list[asyncio.Future[None]] = []
        async for event in events:
            assert event.message_source != "Telemetry"
        await closing[0]

    asyncio.run(asyncio.wait_for(read(), SECONDS))


def test_ctrl_c_ends_the_wait(hub: LocalHub) -> None:
    reader = IoTHubRegistryManager(hub.connection_string).events()
    timer = threading.Timer(QUIET, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        list(reader)


@FACES
def test_who_may_not_or_asks_for_what_is_not_there_is_told(hub: LocalHub, read: Read) -> None:
    with pytest.raises(MessageRejected, match="There is no consumer group 'nobody'") as missing:
        read(hub, consumer_group="nobody")
    assert missing.value.status_code == 404
    with pytest.raises(MessageRejected, match="There is no partition '77'"):
        read(hub, partitions=["77"])
    manager = IoTHubRegistryManager(hub.policy_connection_string("registryRead"))
    with pytest.raises(TokenAuthFailure):
        next(manager.events())
    wrong = hub.connection_string.partition("SharedAccessKey=")[0] + "SharedAccessKey=Zm9vYmFy"
    with pytest.raises(TokenAuthFailure) as refused:
        next(IoTHubRegistryManager(wrong).events())
    assert "Zm9vYmFy" not in str(refused.value)


def test_a_hub_that_is_not_there_is_told_at_once() -> None:
    manager = IoTHubRegistryManager("HostName=localhost:1;SharedAccessKeyName=service;SharedAccessKey=Zm9vYmFy")
    with pytest.raises(AMQPConnectionError, match="localhost:1"):
        next(manager.events())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"start": "now"}, ValueError, '"latest", "earliest"'),
        ({"start": 5}, ValueError, "not 5"),
        ({"start": datetime(2026, 1, 1)}, ValueError, "time zone"),
        ({"start": {"0": 1.5}}, TypeError, "a place in a partition"),
        ({"partitions": "0"}, TypeError, r'\["0"\]'),
        ({"prefetch": 0}, ValueError, "at least 1"),
        ({"timeout": -1}, ValueError, "timeout"),
    ],
)
def test_what_can_not_be_read_is_told_at_once(options: dict[str, Any], error: type[Exception], text: str) -> None:
    connection_string = "HostName=localhost:1;SharedAccessKeyName=service;SharedAccessKey=Zm9vYmFy"
    with pytest.raises(error, match=text):
        IoTHubRegistryManager(connection_string).events(**options)
    with pytest.raises(error, match=text):
        aio.IoTHubRegistryManager(connection_string).events(**options)


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[LocalHub]:
    """A hub in a process of its own that keeps what it has."""
    with LocalHub(process=True, data=tmp_path / "data") as hub:
        yield hub


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_after_a_kill_of_the_hub_no_event_is_lost_and_none_comes_twice(
    durable: LocalHub, transport: TransportType
) -> None:
    create(durable, "d")
    manager = IoTHubRegistryManager(durable.connection_string, transport_type=transport)
    reader = manager.events("earliest", timeout=SECONDS)
    seen: list[str] = []
    for round_ in range(3):
        send(durable, "d", *(f"{round_}-{number}" for number in range(50)))
        while len(seen) < 50 * round_ + 25:
            seen += bodies(telemetry([next(reader)]))
        durable.kill()
        durable.restart()
    while len(seen) < 150:
        seen += bodies(telemetry([next(reader)]))
    assert seen == [f"{round_}-{number}" for round_ in range(3) for number in range(50)]
    reader.close()


def test_events_that_came_while_the_hub_was_away_from_a_quiet_reader_are_read(durable: LocalHub) -> None:
    create(durable, "d")
    manager = IoTHubRegistryManager(durable.connection_string)
    reader = manager.events(timeout=QUIET)
    assert telemetry(list(reader)) == []
    durable.kill()
    durable.restart()
    send(durable, "d", "x")
    assert bodies(telemetry(list(reader))) == ["x"]


def test_a_hub_that_is_gone_is_told_when_the_time_is_over(tmp_path: Path) -> None:
    with LocalHub(process=True) as hub:
        create(hub, "d")
        reader = IoTHubRegistryManager(hub.connection_string).events(timeout=QUIET)
        assert telemetry(list(reader)) == []
        hub.kill()
        with pytest.raises(MessageTimeout, match="no connection to the hub in"):
            next(reader)
        hub.restart()
