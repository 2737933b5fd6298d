"""The core writes ordinary messages as Python writes the unusual ones: both ways give the hub the same."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot.device import IoTHubDeviceClient, Message, aio
from azure.iot.device.exceptions import OperationCancelled
from ferrohub.device import base

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub


class Unusual(Message):
    """Of another class than the core writes."""


ATTRIBUTES = ("message_id", "correlation_id", "user_id", "content_type", "content_encoding", "output_name", "ack")
TEXTS = ("", "a", "b c", "é€\U0001f600", "a=b&c", "%24.mid", "/+#?", "x" * 300)
ALSO = (None, None, 7, 1.5, datetime(2026, 11, 24, 10, tzinfo=timezone.utc))


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    return hub.device_connection_string("d")


def some_message(chosen: random.Random, cls: type[Message]) -> Message:
    message = cls(chosen.choice([*TEXTS, b"", b"\x00\xff", bytearray(b"bytes"), 5, 0.5, None]))
    for attribute in ATTRIBUTES:
        if chosen.random() < 0.3:
            setattr(message, attribute, chosen.choice([*TEXTS, *ALSO]))
    for _ in range(chosen.randrange(4)):
        # Two that have the same text are refused, whoever writes them: other tests' business.
        message.custom_properties[chosen.choice([*TEXTS, 1])] = chosen.choice([*TEXTS, *ALSO])
    if chosen.random() < 0.1:
        message.set_as_security_message()
    if chosen.random() < 0.1:
        message.own_attribute = "of the program"  # type: ignore[attr-defined]
    return message


def test_messages_look_the_same_whoever_writes_them(hub: LocalHub, connection_string: str) -> None:
    def messages(cls: type[Message]) -> list[Message]:
        chosen = random.Random(20261124)  # noqa: S311
        return [some_message(chosen, cls) for _ in range(400)]

    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        ordinary = client.send_messages(messages(Message))
        unusual = client.send_messages(messages(Unusual))
    assert ordinary == unusual == [None] * 400
    received = [(message.body, message.properties) for message in hub.telemetry()]
    assert received[:400] == received[400:]


def test_ordinary_messages_are_written_by_the_core(connection_string: str) -> None:
    def asked(_: object) -> Any:
        raise AssertionError

    core = IoTHubDeviceClient.create_from_connection_string(connection_string)._core
    full = Message("text", "id", "utf-8", "text/plain")
    full.custom_properties = {"a": "b"}
    for message in (Message(b"bytes"), full):
        core.send_message(message, base.WRITER, asked, None)
    with pytest.raises(AssertionError):
        core.send_message(Unusual("x"), base.WRITER, asked, None)


def octets(size: int) -> bytes:
    return b"x" * size


def letters(size: int) -> str:
    return "x" * size


def wide_letters(size: int) -> str:
    return "\u20ac" * (size // 2)


@pytest.mark.parametrize(
    ("make", "where"),
    [(octets, "data"), *((make, where) for make in (letters, wide_letters) for where in ("data", "ack", "custom"))],
)
def test_what_is_too_large_is_the_same_whoever_writes_it(connection_string: str, make: Any, where: str) -> None:
    """The size is that of Python's objects; 120 around the limit of 256 KB, and some far from it."""
    client = IoTHubDeviceClient.create_from_connection_string(connection_string)
    sizes = [1, 50_000, 65_400, 65_500, 200_000, *range(262_144 - 120, 262_144), 300_000]
    assert [refused(client, Message, make, where, size) for size in sizes] == [
        refused(client, Unusual, make, where, size) for size in sizes
    ]
    client.shutdown()


def refused(client: IoTHubDeviceClient, cls: type[Message], make: Any, where: str, size: int) -> str | None:
    message = cls(make(size) if where == "data" else "x")
    if where == "custom":
        message.custom_properties["key"] = make(size)
    elif where != "data":
        setattr(message, where, make(size))
    try:
        # Written, and not sent: nobody runs the operation.
        client._message_operation(message, 1.0)
    except Exception as error:  # noqa: BLE001 - compared
        return repr(error)
    return None


def test_messages_of_one_turn_of_the_loop_leave_in_their_order_and_with_those_of_threads(
    hub: LocalHub, connection_string: str
) -> None:
    async def run() -> None:
        async with aio.IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
            await client.connect()
            for _ in range(20):
                sent = [client.submit("1"), asyncio.ensure_future(client.send_message("2"))]
                await asyncio.sleep(0)
                # A call that is no message is not to overtake those before it.
                sent += [client.submit("3"), asyncio.ensure_future(client.patch_twin_reported_properties({"a": 1}))]
                await asyncio.gather(*sent)

    asyncio.run(run())
    assert [message.body for message in hub.telemetry()] == [b"1", b"2", b"3"] * 20


def test_messages_that_were_held_end_with_the_client(connection_string: str) -> None:
    async def run() -> None:
        client = aio.IoTHubDeviceClient.create_from_connection_string(connection_string)
        await client.connect()
        sent = [client.submit("x") for _ in range(100)]
        await client.shutdown()
        done, pending = await asyncio.wait(sent, timeout=30)
        assert not pending
        assert {type(future.exception()) for future in done} <= {type(None), OperationCancelled}

    asyncio.run(run())
