"""A cancelled task of an asyncio client leaves nothing behind: no task, no thread, no packet id, no noise."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable

import pytest
from azure.iot.device import MethodResponse, aio

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

SECONDS = 20
"""No test waits longer than this for anything."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Client = aio.IoTHubModuleClient
CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "connect": lambda client: client.connect(),
    "send_message": lambda client: client.send_message("cancelled"),
    "send_messages": lambda client: client.send_messages(["cancelled"] * 100),
    "send_message_to_output": lambda client: client.send_message_to_output("cancelled", "o"),
    "get_twin": lambda client: client.get_twin(),
    "patch_twin_reported_properties": lambda client: client.patch_twin_reported_properties({"cancelled": True}),
    "send_method_response": lambda client: client.send_method_response(MethodResponse("1", 200)),
    "receive_message_on_input": lambda client: client.receive_message_on_input("i"),
    "receive_method_request": lambda client: client.receive_method_request(),
    "receive_twin_desired_properties_patch": lambda client: client.receive_twin_desired_properties_patch(),
    "desired_properties_patches": lambda client: client.desired_properties_patches().__anext__(),
}


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    registry.create_module_with_sas("d", "m", "", "", "")
    return hub.module_connection_string("d", "m")


def run(connection_string: str, test: Callable[[Client], Awaitable[None]]) -> None:
    """Run a test on a loop that is looked at closely: afterwards it has nothing to complain of, and nothing to do."""
    complaints: list[Any] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        loop.slow_callback_duration = SECONDS  # a busy machine is no defect
        async with Client.create_from_connection_string(connection_string, connection_retry_interval=1) as client:
            await asyncio.wait_for(test(client), SECONDS * 2)
        # One turn for what was called back for the last time.
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(watched(), debug=True)
    gc.collect()
    assert complaints == []


async def cancelled(call: Awaitable[Any], turns: int = 3) -> None:
    """Begin a call, and cancel it."""
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def bodies(hub: LocalHub) -> list[bytes]:
    return [message.body for message in hub.telemetry()]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_cancelled_before_it_was_written_is_never_sent(
    hub: LocalHub, connection_string: str, name: str
) -> None:
    async def test(client: Client) -> None:
        threads, tasks = threading.active_count(), asyncio.all_tasks()
        with hub.faults.freeze():  # nobody is let in: nothing is written
            await cancelled(CALLS[name](client))
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == tasks
        await client.send_message("next")
        assert bodies(hub) == [b"next"]
        assert threading.active_count() <= threads + 1  # the hub's, for the connection, may have come
        assert "cancelled" not in (await client.get_twin())["reported"]

    run(connection_string, test)


def test_what_was_written_is_not_sent_again_and_its_packet_id_is_free_again(
    hub: LocalHub, connection_string: str
) -> None:
    async def test(client: Client) -> None:
        await client.connect()
        with hub.faults.withhold_pubacks():
            receipts = [client.submit("written") for _ in range(64)]
            while client.statistics["in_flight"] < 64:  # noqa: ASYNC110 - nobody tells when it is so
                await asyncio.sleep(0)
            for receipt in receipts:
                receipt.cancel()
            await asyncio.wait(receipts)
        hub.faults.drop()
        assert await client.send_messages(["next"] * 100) == [None] * 100
        assert client.statistics["in_flight"] == client.statistics["queued"] == 0

    run(connection_string, test)
    assert bodies(hub) == [b"written"] * 64 + [b"next"] * 100


def test_a_cancelled_connect_ends_the_attempt(hub: LocalHub, connection_string: str) -> None:
    async def test(client: Client) -> None:
        with hub.faults.freeze():
            await cancelled(client.connect(), turns=10)
        await client.disconnect()
        assert not client.connected

    run(connection_string, test)


@pytest.mark.timeout(120)
def test_calls_cancelled_at_any_moment_make_no_noise(hub: LocalHub, connection_string: str) -> None:
    chance = random.Random(20250612)  # noqa: S311 - a seed makes the test the same each time
    names = [name for name in CALLS if name not in {"desired_properties_patches", "send_messages"}]

    async def test(client: Client) -> None:
        await client.connect()
        with hub.faults.duplicate_pubacks():
            for number in range(400):
                task = asyncio.ensure_future(CALLS[chance.choice(names)](client))
                if number % 50 == 0:
                    hub.faults.drop()
                await asyncio.sleep(chance.random() * 0.004)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.exception()
        await client.send_message("last")

    run(connection_string, test)
    assert bodies(hub)[-1] == b"last"


@pytest.mark.timeout(120)
def test_a_cancelled_receive_loses_nothing_whenever_the_message_comes(hub: LocalHub, connection_string: str) -> None:
    chance = random.Random(20250612)  # noqa: S311 - a seed makes the test the same each time
    count = 300

    async def test(client: Client) -> None:
        async def send() -> None:
            loop = asyncio.get_running_loop()
            for number in range(count):
                await loop.run_in_executor(None, hub.send_input_message, "d", "m", "i", str(number))

        received: list[int] = []
        assert await client.receive_message_on_input("i", timeout=0) is None  # it listens now
        sending = asyncio.ensure_future(send())
        while len(received) < count:
            receiving = asyncio.ensure_future(client.receive_message_on_input("i"))
            await asyncio.wait([receiving], timeout=chance.random() * 0.003)
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                received.append(int((await receiving).data))
        await sending
        assert received == list(range(count))

    run(connection_string, test)


def test_a_message_that_comes_in_the_moment_of_the_cancellation_stays_for_the_next_call(
    hub: LocalHub, connection_string: str
) -> None:
    async def test(client: Client) -> None:
        assert await client.receive_message_on_input("i", timeout=0) is None
        receiving = asyncio.ensure_future(client.receive_message_on_input("i"))
        await asyncio.sleep(0.05)
        hub.send_input_message("d", "m", "i", "x")
        # The loop does not run meanwhile: message and cancellation meet in its next turn.
        threading.Event().wait(0.1)
        receiving.cancel()
        try:
            message = await receiving
        except asyncio.CancelledError:
            message = await client.receive_message_on_input("i", timeout=SECONDS)
        assert message.data == b"x"

    run(connection_string, test)


def test_an_iterator_goes_on_after_its_task_was_cancelled(hub: LocalHub, connection_string: str) -> None:
    async def test(client: Client) -> None:
        messages = client.messages()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(messages.__anext__(), 0.2)
        hub.send_input_message("d", "m", "i", "x")
        assert (await messages.__anext__()).data == b"x"

    run(connection_string, test)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup came with Python 3.11")
def test_a_task_group_that_fails_cancels_its_calls(hub: LocalHub, connection_string: str) -> None:
    async def test(client: Client) -> None:
        async def fail() -> None:
            await asyncio.sleep(0.05)
            raise LookupError

        await client.connect()

        async def fail_together() -> None:
            group: Any = asyncio.TaskGroup()  # type: ignore[attr-defined]  # of a later Python than the oldest
            async with group:
                group.create_task(client.send_message("x"))
                group.create_task(client.get_twin())
                group.create_task(fail())

        with hub.faults.withhold_pubacks(), pytest.raises(BaseException, match="unhandled errors") as caught:
            await fail_together()
        assert [type(error) for error in caught.value.exceptions] == [LookupError]  # type: ignore[attr-defined]
        await client.send_message("next")

    run(connection_string, test)
