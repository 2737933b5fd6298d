"""What clients promise about sending: outcomes, order, time, and their end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from azure.iot.device import IoTHubDeviceClient, Message, aio
from azure.iot.device.exceptions import ClientError, ConnectionFailedError, OperationTimeout

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    return hub.device_connection_string("d")


def bodies(hub: LocalHub) -> list[bytes]:
    return [message.body for message in hub.telemetry()]


def test_a_client_is_shut_down_at_the_end_of_with(connection_string: str) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        client.send_message("x")
    assert not client.connected
    with pytest.raises(ClientError, match="Pipeline is not running"):
        client.send_message("y")


def test_an_asyncio_client_is_shut_down_at_the_end_of_async_with(connection_string: str) -> None:
    async def run() -> None:
        async with aio.IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
            await client.send_message("x")
            await client.shutdown()
        assert not client.connected

    asyncio.run(run())


def test_each_of_many_messages_has_its_outcome(hub: LocalHub, connection_string: str) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        assert client.send_messages([str(number) for number in range(200)]) == [None] * 200
        hub.stop()
        lost = client.send_messages(["a", Message("b")], timeout=0.2)
    assert [type(outcome) for outcome in lost] == [OperationTimeout] * 2


def test_nothing_is_sent_if_one_of_many_can_not_be(hub: LocalHub, connection_string: str) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        client.connect()
        with pytest.raises(ValueError, match="can not exceed 256 KB"):
            client.send_messages(["small", "x" * 300_000])
        client.send_message("last")
    assert bodies(hub) == [b"last"]


def test_submitted_messages_have_futures_and_keep_their_order(hub: LocalHub, connection_string: str) -> None:
    async def run() -> None:
        async with aio.IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
            futures = [client.submit(str(number)) for number in range(300)]
            assert all(isinstance(future, asyncio.Future) for future in futures)
            await asyncio.gather(*futures)
            assert await client.send_messages(["300", "301"]) == [None, None]
            assert await client.send_messages([]) == []

    asyncio.run(run())
    assert bodies(hub) == [str(number).encode() for number in range(302)]


def test_a_submitted_message_that_fails_gives_the_public_error(connection_string: str) -> None:
    async def run() -> None:
        text = connection_string.replace("HostName=localhost", "HostName=localhost.invalid")
        async with aio.IoTHubDeviceClient.create_from_connection_string(text) as client:
            with pytest.raises(ConnectionFailedError, match="never sent"):
                await client.submit("x")
            (outcome,) = await client.send_messages(["y"])
            assert isinstance(outcome, ConnectionFailedError)

    asyncio.run(run())


def test_a_cancelled_message_is_not_sent(hub: LocalHub, connection_string: str) -> None:
    async def run() -> None:
        async with aio.IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
            waiting = asyncio.ensure_future(client.send_message("no"))
            submitted = client.submit("no")
            await asyncio.sleep(0)
            waiting.cancel()
            submitted.cancel()
            await asyncio.sleep(0)
            await client.send_message("yes")
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert bodies(hub)[-1] == b"yes"
    assert len(bodies(hub)) <= 3


def test_calls_end_at_their_time_while_the_link_is_lost(hub: LocalHub, connection_string: str) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        client.get_twin()
        hub.stop()
        for call in (
            lambda: client.send_message("x", timeout=0.2),
            lambda: client.get_twin(timeout=0.2),
            lambda: client.patch_twin_reported_properties({"a": 1}, timeout=0.2),
        ):
            begin = time.monotonic()
            with pytest.raises(OperationTimeout, match=r"\((never sent|sent, not acknowledged)\)"):
                call()
            assert 0.2 <= time.monotonic() - begin < 1


def test_messages_are_counted(hub: LocalHub, connection_string: str) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        client.send_messages(["a", "b", "c"])
        client.get_twin()
        counted = {"sent": 3, "acknowledged": 3, "failed": 0, "queued": 0, "in_flight": 0, "reconnects": 0}
        assert client.statistics == counted
        hub.stop()
        client.send_messages(["late"], timeout=0.1)
        with pytest.raises(OperationTimeout):
            client.get_twin(timeout=0.1)
        statistics = client.statistics
    assert (statistics["acknowledged"], statistics["failed"], statistics["queued"]) == (3, 1, 0)


def test_a_call_that_runs_out_of_time_says_what_keeps_the_client_away(
    registry: IoTHubRegistryManager, connection_string: str
) -> None:
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        client.get_twin()
        registry.delete_device("d")
        with pytest.raises(
            OperationTimeout, match=r"\((never sent|sent, not acknowledged)\).*refused \"d\".*not authorised"
        ):
            client.get_twin(timeout=3)


@pytest.mark.parametrize("timeout", [-1, float("nan"), 1e300])
def test_an_impossible_time_is_a_value_error(connection_string: str, timeout: float) -> None:
    client = IoTHubDeviceClient.create_from_connection_string(connection_string)
    with client, pytest.raises(ValueError, match=r"s is not possible$"):
        client.send_message("x", timeout=timeout)


@pytest.mark.parametrize("window", [1, 3])
def test_in_flight_window_is_how_many_messages_are_under_way_without_an_acknowledgement(
    hub: LocalHub, connection_string: str, window: int
) -> None:
    async def run() -> None:
        client = aio.IoTHubDeviceClient.create_from_connection_string(connection_string, in_flight_window=window)
        await client.connect()
        with hub.faults.withhold_pubacks("d"):
            sending = [client.submit(str(number)) for number in range(5)]
            events = hub.events(timeout=20)
            for _ in range(window):
                await asyncio.get_running_loop().run_in_executor(None, next, events)
            # The connection's thread counts those that wait when it is given them, which may be a moment later.
            while client.statistics["queued"] < 5 - window:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert (client.statistics["in_flight"], client.statistics["queued"]) == (window, 5 - window)
        hub.faults.drop("d")
        await asyncio.gather(*sending)
        await client.shutdown()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ("64", TypeError, "Invalid type for 'in_flight_window'. Must be an int."),
        (True, TypeError, "Invalid type for 'in_flight_window'. Must be an int."),
        (0, ValueError, "'in_flight_window' must be from 1 to 32767"),
        (32768, ValueError, "'in_flight_window' must be from 1 to 32767"),
    ],
)
def test_an_in_flight_window_that_can_not_be_used_is_refused(value: object, error: type[Exception], text: str) -> None:
    string = "HostName=localhost;DeviceId=d;SharedAccessKey=Zm9vYmFy"
    with pytest.raises(error) as caught:
        IoTHubDeviceClient.create_from_connection_string(string, in_flight_window=value)
    assert str(caught.value) == text
