"""What outlives what: forks, the end of the interpreter, Ctrl-C, event loops, forgotten clients, handlers."""

from __future__ import annotations

import asyncio
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import lifetimes_run
import pytest
from azure.iot import device as sync
from azure.iot.device import IoTHubDeviceClient, MethodResponse, aio
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from support import ROOT, Program, run

if TYPE_CHECKING:
    from ferrohub import LocalHub

SECONDS = 20
"""No test waits longer than this for anything."""
EXITS = 40
LONGEST_EXIT = 5.0
"""Seconds for a whole program, start included, on a busy machine."""
PROGRAM = ROOT / "tests" / "python" / "lifetimes_run.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and signals are those of Unix")


@pytest.fixture
def string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    return hub.device_connection_string("d")


@pytest.fixture
def other_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("child", "", "", "enabled")
    return hub.device_connection_string("child")


# --- fork -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["fork", "fork_while_busy", "multiprocess"])
def test_a_forked_child_has_clients_of_its_own_and_the_parent_keeps_its(
    program: str, hub: LocalHub, string: str, other_string: str
) -> None:
    ran = run(sys.executable, "-W", "ignore::DeprecationWarning", PROGRAM, program, string, other_string)
    assert (ran.code, ran.out, ran.err) == (0, "done\n", "")
    senders = {message.device_id: message.body for message in hub.telemetry()}
    assert senders == {"d": b"parent", "child": b"child"}


# --- exit -------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_forty_programs_end_in_the_middle_of_things_without_a_word(hub: LocalHub, string: str) -> None:
    programs = [name for name in lifetimes_run.PROGRAMS if name.startswith("exit_")]
    with hub.faults.withhold_pubacks():
        for number in range(EXITS):
            program = programs[number % len(programs)]
            begin = time.monotonic()
            # This one needs a hub that answers.
            if program == "exit_while_sending":
                hub.faults.clear()
            ran = run(sys.executable, "-W", "error", PROGRAM, program, string)
            hub.faults.withhold_pubacks()
            assert (ran.code, ran.out, ran.err) == (0, "done\n", ""), program
            assert time.monotonic() - begin < LONGEST_EXIT, program


def test_asyncio_run_works_twice_with_the_same_client(hub: LocalHub, string: str) -> None:
    client = aio.IoTHubDeviceClient.create_from_connection_string(string)
    received = []

    async def use(body: str) -> None:
        handled = asyncio.Event()

        async def handle(message: Any) -> None:
            received.append(message.data)
            handled.set()

        await client.send_message(body)
        client.on_message_received = handle
        hub.send_c2d_message("d", body)
        await asyncio.wait_for(handled.wait(), SECONDS)

    for body in ("first", "second"):
        asyncio.run(use(body))
    asyncio.run(client.shutdown())
    assert [message.body for message in hub.telemetry()] == [b"first", b"second"]
    assert received == [b"first", b"second"]


def test_handlers_go_on_in_the_next_loop_though_the_last_one_ended_in_the_middle_of_them(
    hub: LocalHub, string: str
) -> None:
    client = aio.IoTHubDeviceClient.create_from_connection_string(string)

    async def end_in_the_middle() -> None:
        begun = asyncio.Event()

        async def handle(_patch: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        client.on_connection_state_change = asyncio.Event().wait
        client.on_twin_desired_properties_patch_received = handle
        desire(hub, 1)
        await asyncio.wait_for(begun.wait(), SECONDS)
        desire(hub, 2)

    async def go_on() -> None:
        versions: asyncio.Queue[int] = asyncio.Queue()
        changed = asyncio.Event()

        async def handle(patch: Any) -> None:
            await versions.put(patch["$version"])

        async def change() -> None:
            changed.set()

        client.on_twin_desired_properties_patch_received = handle
        client.on_connection_state_change = change
        await client.connect()
        assert await asyncio.wait_for(versions.get(), SECONDS) == 3
        await client.disconnect()
        await asyncio.wait_for(changed.wait(), SECONDS)
        await client.shutdown()

    asyncio.run(end_in_the_middle())
    asyncio.run(go_on())


def desire(hub: LocalHub, number: int) -> None:
    registry = IoTHubRegistryManager(hub.connection_string)
    registry.update_twin("d", Twin(properties=TwinProperties(desired={"n": number})), None)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["interrupt_calls", "interrupt_farewells"])
def test_ctrl_c_ends_every_blocking_call(program: str, hub: LocalHub, string: str) -> None:
    """The program says when the hub is to be frozen and thawed."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAM, program, string],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin
        assert running.stdout
        while (line := running.stdout.readline()) in {"frozen?\n", "thawed?\n"}:
            if line == "frozen?\n":
                hub.faults.freeze()
            else:
                hub.faults.clear()
            running.stdin.write("yes\n")
            running.stdin.flush()
        hub.faults.clear()
        out, errors = running.communicate(timeout=SECONDS)
    assert (running.returncode, line + out, errors) == (0, "done\n", "")


@pytest.mark.parametrize("program", ["interrupted", "interrupted_aio"])
def test_ctrl_c_ends_a_program_with_keyboard_interrupt_and_nothing_more(
    program: str, hub: LocalHub, string: str
) -> None:
    with Program(sys.executable, PROGRAM, program, string) as running:
        running.wait_for("ready")
        with hub.faults.freeze():
            begin = time.monotonic()
            running.interrupt()
            ended = running.finish()
            assert time.monotonic() - begin < 1 + 1, "a second, and one for a busy machine"
    assert ended.code == -signal.SIGINT
    assert ended.err.rstrip().endswith("KeyboardInterrupt")
    # asyncio shows the cancelled call before the interrupt that follows from it.
    assert ended.err.count("Traceback") == (2 if program == "interrupted_aio" else 1)


# --- forgotten --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="it is measured with /proc")
@pytest.mark.parametrize("program", ["forget", "forget_aio"])
def test_a_forgotten_client_is_gone_with_its_connection(
    program: str, registry: IoTHubRegistryManager, string: str
) -> None:
    with Program(sys.executable, PROGRAM, program, string) as running:
        ended = running.finish()
    assert (ended.code, ended.out, ended.err) == (0, "done", "")
    assert registry.get_device("d").connection_state == "Disconnected"


# --- handlers ---------------------------------------------------------------------------------------------------------


def test_a_handler_may_call_everything(hub: LocalHub, string: str) -> None:
    done: queue.Queue[Exception | None] = queue.Queue()
    client: Any = IoTHubDeviceClient.create_from_connection_string(string)

    def handle(_message: Any) -> None:
        client.send_message("from a handler", timeout=SECONDS)
        assert client.send_messages(["a", "b"], timeout=SECONDS) == [None, None]
        client.patch_twin_reported_properties({"seen": True}, timeout=SECONDS)
        assert client.get_twin(timeout=SECONDS)["reported"]["seen"] is True
        client.send_method_response(MethodResponse("1", 200, None), timeout=SECONDS)
        client.on_method_request_received = lambda request: None
        client.on_method_request_received = None
        client.on_message_received = None
        client.disconnect()
        client.connect()
        client.shutdown()
        done.put(None)

    client.on_background_exception = done.put
    client.on_message_received = handle
    hub.send_c2d_message("d", "go")
    assert done.get(timeout=SECONDS) is None


def test_a_coroutine_handler_may_call_everything(hub: LocalHub, string: str) -> None:
    async def use() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client: Any = aio.IoTHubDeviceClient.create_from_connection_string(string)

        async def handle(_message: Any) -> None:
            await client.send_message("from a handler", timeout=SECONDS)
            assert await client.send_messages(["a", "b"], timeout=SECONDS) == [None, None]
            await client.submit("c")
            await client.patch_twin_reported_properties({"seen": True}, timeout=SECONDS)
            assert (await client.get_twin(timeout=SECONDS))["reported"]["seen"] is True
            await client.send_method_response(MethodResponse("1", 200, None), timeout=SECONDS)
            client.on_method_request_received = handle
            client.on_method_request_received = None
            client.on_message_received = None
            await client.disconnect()
            await client.connect()
            await client.shutdown()
            done.set_result(None)

        client.on_background_exception = done.set_exception
        client.on_message_received = handle
        hub.send_c2d_message("d", "go")
        await asyncio.wait_for(done, SECONDS)

    asyncio.run(use())


@pytest.mark.parametrize("sdk", [sync, aio], ids=["sync", "aio"])
@pytest.mark.parametrize(
    "raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()], ids=repr
)
def test_a_handler_that_exits_ends_nothing_that_others_need(
    sdk: Any, raised: BaseException, hub: LocalHub, string: str
) -> None:
    received: queue.Queue[bytes] = queue.Queue()
    errors: queue.Queue[BaseException] = queue.Queue()

    def leave(message: Any) -> None:
        received.put(message.data)
        raise raised

    async def use() -> None:
        client = sdk.IoTHubDeviceClient.create_from_connection_string(string)
        client.on_background_exception = errors.put
        client.on_message_received = leave
        for number in range(6):  # more than may run at once
            hub.send_c2d_message("d", str(number))
        for waiting in (received, errors):
            for _ in range(6):
                await asyncio.to_thread(waiting.get, True, SECONDS)
        if sdk is aio:
            await client.shutdown()
        else:
            client.shutdown()

    asyncio.run(use())


def test_a_handler_that_never_returns_stops_neither_the_keep_alive_nor_other_handlers(
    hub: LocalHub, string: str
) -> None:
    ever, begun = threading.Event(), threading.Event()
    versions: queue.Queue[int] = queue.Queue()
    messages: queue.Queue[bytes] = queue.Queue()

    def block_first(message: Any) -> None:
        messages.put(message.data)
        if message.data == b"block":
            begun.set()
            ever.wait()

    with IoTHubDeviceClient.create_from_connection_string(string, keep_alive=1) as client:
        client.on_twin_desired_properties_patch_received = lambda patch: versions.put(patch["$version"])
        client.on_message_received = block_first
        hub.send_c2d_message("d", "block")
        assert begun.wait(SECONDS)
        end = time.monotonic() + 2  # more than the hub would bear without a sign of life
        version = 1
        while time.monotonic() < end:
            version += 1
            desire(hub, version)
            assert versions.get(timeout=SECONDS) == version
        hub.send_c2d_message("d", "next")
        assert [messages.get(timeout=SECONDS) for _ in range(2)] == [b"block", b"next"]
        assert client.statistics["reconnects"] == 0
        ever.set()
