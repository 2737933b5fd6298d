"""What a client with an outbox promises: what it has accepted arrives, in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot.device import IoTHubDeviceClient, Message, aio
from azure.iot.device.exceptions import ClientError, OperationTimeout
from ferrohub import Outbox, OutboxError, OutboxFullError

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

SECONDS = 20.0
"""No test waits longer than this for anything."""

Make = Callable[..., IoTHubDeviceClient]


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    return hub.device_connection_string("d")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def make(connection_string: str, path: Path) -> Make:
    """Makes a client whose outbox is made from the arguments, apart from `options`."""

    def make(options: dict[str, Any] | None = None, **outbox: Any) -> IoTHubDeviceClient:
        keywords = {"connection_retry_interval": 1, **(options or {})}
        return IoTHubDeviceClient.create_from_connection_string(
            connection_string, outbox=Outbox(path, **outbox), **keywords
        )

    return make


def bodies(hub: LocalHub) -> list[str]:
    return [message.body.decode() for message in hub.telemetry()]


def texts(*numbers: int) -> list[str]:
    return [str(number) for number in range(*numbers)]


def until(condition: Callable[[], object]) -> None:
    """Wait until it is true."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


# --- accepted, sent, delivered ----------------------------------------------------------------------------------------


def test_messages_are_accepted_without_a_connection_and_sent_when_there_is_one(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d") as refused, make() as client:
        client.send_message("0")
        assert client.send_messages(texts(1, 100)) == [None] * 99
        statistics = client.statistics
        assert (statistics["stored"], statistics["stored_bytes"]) == (100, sum(map(len, texts(100))))
        with pytest.raises(OperationTimeout, match=r"100 not acknowledged by the hub within the call's time"):
            client.flush(timeout=0.1)
        refused.clear()
        client.flush(timeout=SECONDS)
        statistics = client.statistics
    assert bodies(hub) == texts(100)
    assert (statistics["stored"], statistics["stored_bytes"], statistics["failed"]) == (0, 0, 0)


def test_a_message_is_sent_as_without_an_outbox(hub: LocalHub, make: Make) -> None:
    message = Message("é", message_id="m 1", content_type="text/plain")
    message.custom_properties["a"] = "ü=&"
    with make() as client:
        client.send_message(message)
        client.flush(timeout=SECONDS)
    (arrived,) = hub.telemetry()
    assert arrived.body == "é".encode()
    assert arrived.properties == {"$.mid": "m 1", "$.ct": "text/plain", "a": "ü=&"}


def test_what_a_client_leaves_is_sent_by_the_next_as_soon_as_it_is_made(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d"), make() as client:
        client.send_messages(texts(50))
    with make():
        until(lambda: len(bodies(hub)) == 50)
    with make() as client:
        client.send_message("50")
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(51)


def test_a_new_connection_sends_again_what_was_not_acknowledged(hub: LocalHub, make: Make) -> None:
    with make() as client:
        client.connect()
        with hub.faults.withhold_pubacks("d"):
            client.send_messages(texts(10))
            until(lambda: len(bodies(hub)) == 10)
        hub.faults.drop("d")
        client.flush(timeout=SECONDS)
        statistics = client.statistics
    assert bodies(hub) == texts(10) * 2
    assert (statistics["sent"], statistics["acknowledged"]) == (10, 10)


def test_order_is_kept_through_losses_of_the_connection(hub: LocalHub, make: Make) -> None:
    stopped = threading.Event()

    def drop() -> None:
        while not stopped.wait(0.01):
            hub.faults.drop("d")

    dropping = threading.Thread(target=drop)
    dropping.start()
    with make() as client:
        for first in range(0, 2000, 100):
            assert client.send_messages(texts(first, first + 100)) == [None] * 100
        stopped.set()
        dropping.join()
        client.flush(timeout=SECONDS)
    assert list(dict.fromkeys(bodies(hub))) == texts(2000)


def test_more_than_fits_in_memory_is_read_from_the_file(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d") as refused, make() as client:
        client.send_messages(texts(3000))
        refused.clear()
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(3000)


def test_asyncio_clients_have_outboxes_too(hub: LocalHub, connection_string: str, path: Path) -> None:
    async def run() -> None:
        outbox = Outbox(path)
        with hub.faults.refuse_connects("d") as refused:
            async with aio.IoTHubDeviceClient.create_from_connection_string(
                connection_string, outbox=outbox, connection_retry_interval=1
            ) as client:
                await client.send_message("0")
                assert await client.send_messages(["1", "2"]) == [None, None]
                await asyncio.gather(*[client.submit(text) for text in texts(3, 300)])
                with pytest.raises(OperationTimeout):
                    await client.flush(timeout=0.05)
                refused.clear()
                await client.flush(timeout=SECONDS)

    asyncio.run(run())
    assert bodies(hub) == texts(300)


def test_many_threads_share_the_disk_and_keep_their_own_order(hub: LocalHub, make: Make) -> None:
    def send(client: IoTHubDeviceClient, name: str) -> None:
        for text in texts(20):
            client.send_message(f"{name} {text}")

    with make() as client:
        threads = [threading.Thread(target=send, args=(client, name)) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        client.flush(timeout=SECONDS)
    arrived = bodies(hub)
    assert len(arrived) == 160
    for name in "abcdefgh":
        assert [body for body in arrived if body.startswith(name)] == [f"{name} {text}" for text in texts(20)]


# --- who connects -----------------------------------------------------------------------------------------------------


def test_after_a_disconnect_the_next_message_connects_and_the_others_go_first(hub: LocalHub, make: Make) -> None:
    with make() as client:
        client.connect()
        with hub.faults.withhold_pubacks("d"):
            client.send_messages(["0", "1"])
            client.disconnect()
        assert client.statistics["stored"] == 2
        client.send_message("2")
        client.flush(timeout=SECONDS)
        assert client.connected
    assert list(dict.fromkeys(bodies(hub))) == texts(3)


def test_without_auto_connect_messages_wait_for_connect(hub: LocalHub, make: Make) -> None:
    with make({"auto_connect": False}) as client:
        client.send_messages(texts(10))
        with pytest.raises(OperationTimeout):
            client.flush(timeout=0.2)
        assert not client.connected
        client.connect()
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(10)


def test_without_connection_retry_the_next_message_or_connect_tries_again(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d") as refused, make({"connection_retry": False}) as client:
        client.send_message("0")
        with pytest.raises(ClientError):
            client.connect()
        refused.clear()
        client.send_message("1")
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(2)


def test_refused_credentials_are_tried_again_and_told_once(hub: LocalHub, make: Make) -> None:
    errors: queue.Queue[Exception] = queue.Queue()
    with hub.faults.reject_tokens("d") as rejected, make() as client:
        client.on_background_exception = errors.put
        client.send_message("0")
        assert "refused" in str(errors.get(timeout=SECONDS))
        with pytest.raises(OperationTimeout):
            client.flush(timeout=1.5)
        assert errors.empty()
        rejected.clear()
        client.flush(timeout=SECONDS)
    assert bodies(hub) == ["0"]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_full_outbox_lets_calls_wait_for_room(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d") as refused, make(max_messages=10) as client:
        outcomes = client.send_messages(texts(12), timeout=0.2)
        assert outcomes[:10] == [None] * 10
        for outcome in outcomes[10:]:
            assert isinstance(outcome, OperationTimeout)
            assert "leave no room (never stored)" in str(outcome)
        begin = time.monotonic()
        with pytest.raises(OperationTimeout, match="never stored"):
            client.send_message("no", timeout=0.2)
        assert time.monotonic() - begin >= 0.2
        waiting = threading.Thread(target=client.send_messages, args=(texts(10, 40),))
        waiting.start()
        refused.clear()
        waiting.join(SECONDS)
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(40)


def test_a_full_outbox_refuses_if_asked_to(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d"), make(max_bytes=30, when_full="raise") as client:
        client.send_message("x" * 20)
        with pytest.raises(OutboxFullError, match=r"1 with 20 bytes leave no room \(never stored\)"):
            client.send_message("x" * 11)
        client.send_message("y" * 10)
        assert issubclass(OutboxFullError, OutboxError)
        assert issubclass(OutboxError, ClientError)
        with pytest.raises(ValueError, match="larger than the outbox's max_bytes"):
            client.send_message("x" * 31)


def test_a_full_outbox_gives_up_the_oldest_if_asked_to(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d") as refused, make(max_messages=10, when_full="drop_oldest") as client:
        assert client.send_messages(texts(1000)) == [None] * 1000
        client.send_message("1000")
        assert (client.statistics["stored"], client.statistics["dropped"]) == (10, 991)
        refused.clear()
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(991, 1001)


def test_what_is_in_flight_is_not_given_up(hub: LocalHub, make: Make) -> None:
    with make(max_messages=2, when_full="drop_oldest") as client:
        client.connect()
        with hub.faults.withhold_pubacks("d"):
            client.send_messages(["0", "1"])
            until(lambda: len(bodies(hub)) == 2)
            with pytest.raises(OperationTimeout, match="never stored"):
                client.send_message("2", timeout=0.2)
        hub.faults.drop("d")
        client.flush(timeout=SECONDS)
        assert client.statistics["dropped"] == 0


def test_messages_expire_and_that_is_told_once(hub: LocalHub, make: Make) -> None:
    errors: queue.Queue[Exception] = queue.Queue()
    with hub.faults.refuse_connects("d") as refused, make(ttl=0.5) as client:
        client.on_background_exception = errors.put
        client.send_messages(texts(500))
        until(lambda: client.statistics["stored"] == 0)
        assert client.statistics["expired"] == 500
        refused.clear()
        client.connect()
        client.send_message("new")
        client.flush(timeout=SECONDS)
    told = [str(error) for error in errors.queue if "expired" in str(error)]
    assert bodies(hub) == ["new"]
    assert sum(int(text.split(": ", 2)[1].split()[0]) for text in told) == 500
    assert len(told) <= 3


def test_messages_expire_while_no_client_has_the_file(hub: LocalHub, make: Make) -> None:
    with hub.faults.refuse_connects("d"), make() as client:
        client.send_messages(texts(5))
    time.sleep(0.2)
    with make(ttl=0.1) as client:
        client.flush(timeout=SECONDS)
        assert client.statistics["expired"] == 5
    assert bodies(hub) == []


def test_what_no_hub_takes_is_not_accepted(hub: LocalHub, make: Make) -> None:
    with make() as client:
        with pytest.raises(ValueError, match="256 KB"):
            client.send_message("x" * 300_000)
        with pytest.raises(ValueError, match="is larger than 256 KB"):
            client.send_message("é" * 140_000)  # Python holds it in 140 KB, on the wire it has 280
        client.send_message("small")
        client.flush(timeout=SECONDS)
    assert bodies(hub) == ["small"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"max_messages": 0}, ValueError),
        ({"max_messages": 1.5}, TypeError),
        ({"max_bytes": -1}, ValueError),
        ({"max_bytes": 1 << 63}, ValueError),
        ({"when_full": "wait"}, ValueError),
        ({"ttl": 0}, ValueError),
        ({"ttl": float("nan")}, ValueError),
        ({"ttl": "1"}, TypeError),
    ],
)
def test_arguments_that_can_not_be_used_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(arguments))):
        Outbox("file", **arguments)


def test_an_outbox_must_be_one(connection_string: str) -> None:
    with pytest.raises(TypeError, match=r"outbox must be a ferrohub\.Outbox, not str"):
        IoTHubDeviceClient.create_from_connection_string(connection_string, outbox="file")


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_call_that_waits_for_room_ends_with_the_client(hub: LocalHub, make: Make) -> None:
    outcomes: queue.Queue[Any] = queue.Queue()
    with hub.faults.refuse_connects("d"), make(max_messages=1) as client:
        client.send_message("0")
        sending = threading.Thread(target=lambda: outcomes.put(client.send_messages(["1"])))
        sending.start()
        until(sending.is_alive)
        client.shutdown()
        (outcome,) = outcomes.get(timeout=SECONDS)
        sending.join(SECONDS)
        assert "never stored" in str(outcome)
        with pytest.raises(ClientError, match="Pipeline is not running"):
            client.flush()
        with pytest.raises(ClientError, match="Pipeline is not running"):
            client.send_message("2")


def test_a_cancelled_message_that_waits_for_room_is_not_stored(
    hub: LocalHub, connection_string: str, path: Path
) -> None:
    async def run() -> None:
        outbox = Outbox(path, max_messages=1)
        with hub.faults.refuse_connects("d") as refused:
            async with aio.IoTHubDeviceClient.create_from_connection_string(
                connection_string, outbox=outbox, connection_retry_interval=1
            ) as client:
                await client.send_message("0")
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.send_message("no"), 0.1)
                refused.clear()
                await client.send_message("1")
                await client.flush(timeout=SECONDS)

    asyncio.run(run())
    assert bodies(hub) == texts(2)


def test_a_client_without_an_outbox_has_nothing_to_flush(connection_string: str) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        with pytest.raises(ValueError, match="this client has no outbox to flush"):
            client.flush()
        assert "stored" not in client.statistics


def _use_in_child(client: IoTHubDeviceClient, answers: Any) -> None:
    try:
        client.send_message("from the child")
    except ClientError as error:
        answers.put(str(error))


def test_a_forked_child_can_not_use_it_and_does_it_no_harm(hub: LocalHub, make: Make) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with make() as client:
        client.send_message("0")
        child = context.Process(target=_use_in_child, args=(client, answers))
        child.start()
        assert "before a fork" in answers.get()
        child.join(SECONDS)
        assert child.exitcode == 0
        client.send_message("1")
        client.flush(timeout=SECONDS)
    with make() as client:
        client.send_message("2")
        client.flush(timeout=SECONDS)
    assert bodies(hub) == texts(3)
