"""Programs that fork, end and forget their clients in the middle of things.

`python lifetimes_run.py PROGRAM CONNECTION_STRING ...`, with a connection string for each client it makes. A program
that is content prints `done`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any, Callable

import process_status
from azure.iot.device import IoTHubDeviceClient, MethodResponse, aio
from azure.iot.device.exceptions import ClientError
from ferrohub.device import dispatcher

SECONDS = 20
KEPT: list[Any] = []


def sync_client(string: str, **options: Any) -> Any:
    """A synchronous client; as `Any`, which lets tables of its calls be short."""
    return IoTHubDeviceClient.create_from_connection_string(string, **options)


def aio_client(string: str) -> Any:
    """An asyncio client."""
    return aio.IoTHubDeviceClient.create_from_connection_string(string)


# --- fork -------------------------------------------------------------------------------------------------------------


def send_in_child(string: str) -> None:
    """What a child does with clients of its own: they work, synchronous and asyncio, with handlers."""
    sync_child(string)
    asyncio.run(aio_child(string))


def sync_child(string: str) -> None:
    """Send and be told."""
    with sync_client(string) as client:
        told = threading.Event()
        client.on_connection_state_change = told.set
        client.send_message("child", timeout=SECONDS)
        assert told.wait(SECONDS), "a handler runs"


async def aio_child(string: str) -> None:
    """Send and be told."""
    async with aio_client(string) as client:
        told = asyncio.Event()

        async def tell() -> None:
            told.set()

        client.on_connection_state_change = tell
        await client.send_message("child", timeout=SECONDS)
        await asyncio.wait_for(told.wait(), SECONDS)


async def use_aio(string: str) -> None:
    """Have threads for asyncio's handlers, which a fork does not copy."""
    await aio_child(string)


def fork(parents: str, childs: str) -> None:
    """A client of the parent is of no use in the child, which can make others; the parent notices nothing."""
    asyncio.run(use_aio(childs))
    with sync_client(parents) as client:
        client.on_connection_state_change = lambda: None
        client.on_message_received = lambda message: None
        client.send_message("parent")
        child = os.fork()
        if child == 0:
            assert not client.connected
            try:
                client.send_message("never")
            except ClientError as error:
                assert "before a fork" in str(error.__cause__ or error), error  # noqa: PT017
                send_in_child(childs)
                sys.exit(7)  # the way of a program, with everything that happens at exit
            os._exit(1)
        status = os.waitpid(child, 0)[1]
        assert os.waitstatus_to_exitcode(status) == 7 if hasattr(os, "waitstatus_to_exitcode") else status == 7 << 8
        client.send_message("parent", timeout=SECONDS)
        assert client.statistics["reconnects"] == 0


def fork_while_busy(parents: str, childs: str) -> None:
    """The same while threads are in the middle of calls."""
    stopped = threading.Event()
    with sync_client(parents) as client:

        def send() -> None:
            while not stopped.is_set():
                client.send_message("parent", timeout=SECONDS)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                send_in_child(childs)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stopped.set()
        for thread in threads:
            thread.join()
        assert client.statistics["reconnects"] == 0


def multiprocess(parents: str, childs: str) -> None:
    """Children of `multiprocessing`, forked and spawned."""
    with sync_client(parents) as client:
        client.send_message("parent")
        for method in ("fork", "spawn"):
            child: Any = multiprocessing.get_context(method).Process(target=send_in_child, args=(childs,))  # type: ignore[attr-defined]
            child.start()
            child.join(3 * SECONDS)
            assert child.exitcode == 0, method
        client.send_message("parent")


# --- exit -------------------------------------------------------------------------------------------------------------


def in_background(*calls: Callable[[], Any]) -> None:
    """Each in a thread that does not keep the interpreter; returns when all have begun."""
    begun = [threading.Event() for _ in calls]

    def run(call: Callable[[], Any], event: threading.Event) -> None:
        event.set()
        call()

    for call, event in zip(calls, begun):
        threading.Thread(target=run, args=(call, event), daemon=True).start()
        event.wait()


def exit_in_calls(string: str) -> None:
    """With every kind of call under way, of which the hub answers none."""
    client = sync_client(string)
    client.connect()
    in_background(
        lambda: client.send_message("x", timeout=None),
        lambda: client.send_messages(["x"] * 100, timeout=None),
        lambda: client.get_twin(timeout=None),
        lambda: client.patch_twin_reported_properties({"a": 1}, timeout=None),
        lambda: next(client.messages()),
        lambda: next(client.method_requests()),
        lambda: next(client.desired_properties_patches()),
    )


def exit_while_sending(string: str) -> None:
    """With threads that send as fast as they can."""
    client = sync_client(string)

    def send() -> None:
        while True:
            client.send_message("x")

    in_background(send, send, send)
    client.send_message("x")


def exit_in_handlers(string: str) -> None:
    """With one handler that waits for ever, and one that sends."""
    client = sync_client(string)
    begun = threading.Semaphore(0)

    def forever() -> None:
        begun.release()
        threading.Event().wait()

    def send(_error: Exception) -> None:
        begun.release()
        while True:
            client.send_message("x")

    client.on_connection_state_change = forever
    client.on_background_exception = send
    client.connect()
    client._handlers._failed(ValueError("to be told"))
    for _ in range(2):
        assert begun.acquire(timeout=SECONDS)


async def exit_in_tasks(string: str) -> None:
    """With tasks and receipts that nobody waits for."""
    client = aio_client(string)
    KEPT.append(client)  # forgotten, it would end them, and asyncio tell of those whose end nobody sees
    client.on_connection_state_change = asyncio.Event().wait
    await client.connect()
    calls = [client.send_message("x", timeout=None), client.get_twin(timeout=None)]
    tasks = [asyncio.create_task(call) for call in calls]
    receipts = [client.submit("x", timeout=None) for _ in range(100)]
    await asyncio.sleep(0)
    assert not any(waiting.done() for waiting in [*tasks, *receipts])


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


def interrupt_calls(string: str) -> None:
    """Ctrl-C ends every blocking call within a second. The hub is frozen; nothing would end them."""
    client = sync_client(string)
    client.connect()
    print("frozen?", flush=True)
    input()
    never = sync_client(string)

    def set_handler() -> None:
        never.on_message_received = print

    calls: dict[str, Callable[[], Any]] = {
        "connect": never.connect,
        "handler": set_handler,
        "send_message": lambda: client.send_message("x"),
        "send_messages": lambda: client.send_messages(["x"] * 1000),
        "get_twin": client.get_twin,
        "patch": lambda: client.patch_twin_reported_properties({"a": 1}),
        "respond": lambda: client.send_method_response(MethodResponse("1", 200, None)),
        "receive_message": client.receive_message,
        "receive_method_request": client.receive_method_request,
        "receive_patch": client.receive_twin_desired_properties_patch,
        "messages": lambda: next(client.messages()),
        "method_requests": lambda: next(client.method_requests()),
        "patches": lambda: next(client.desired_properties_patches()),
    }
    for call in calls.values():
        assert interrupted_in(call), call
    begin = time.monotonic()
    client.disconnect()
    client.shutdown()
    never.shutdown()
    assert time.monotonic() - begin < 2


def interrupt_farewells(string: str) -> None:
    """The same for calls that end by themselves after a second at most: what can't be sent any more keeps them."""
    from azure.iot.device.common.auth import sastoken, signing_mechanism

    parts = dict(part.split("=", 1) for part in string.split(";"))
    mechanism = signing_mechanism.SymmetricKeySigningMechanism(parts["SharedAccessKey"])
    uri = f"{parts['HostName']}/devices/{parts['DeviceId']}"
    tokens = [str(sastoken.RenewableSasToken(uri, mechanism, ttl=ttl)) for ttl in (3600, 7200)]
    arguments: dict[str, list[Any]] = {
        "disconnect": [],
        "shutdown": [],
        "__exit__": [None] * 3,
        "update_sastoken": tokens[1:],
    }
    for name, given in arguments.items():
        client: Any = IoTHubDeviceClient.create_from_sastoken(tokens[0])
        client.connect()
        print("frozen?", flush=True)
        input()
        in_background(functools.partial(client.send_messages, ["x" * 250_000] * 100))
        ended = interrupted_in(functools.partial(getattr(client, name), *given))
        assert ended or name != "update_sastoken"
        print("thawed?", flush=True)
        input()
        client.__exit__()


def interrupted_in(call: Callable[[], Any]) -> bool:
    """Whether Ctrl-C, after a moment, ended this call; either way a second later it has ended."""
    timer = threading.Timer(0.25, os.kill, [os.getpid(), signal.SIGINT])
    begin, returned = time.monotonic(), False
    timer.start()
    with contextlib.suppress(KeyboardInterrupt):
        call()
        returned = True
        timer.join()
        time.sleep(0.1)  # for the interrupt that comes too late
    assert time.monotonic() - begin < 0.25 + 1
    return not returned


def interrupted(string: str) -> None:
    """To be ended by Ctrl-C within a `with` statement."""
    with sync_client(string) as client:
        client.connect()
        print("ready", flush=True)
        next(client.messages())


async def interrupted_aio(string: str) -> None:
    """The same with asyncio."""
    async with aio_client(string) as client:
        await client.connect()
        print("ready", flush=True)
        await client.messages().__anext__()


# --- forgotten --------------------------------------------------------------------------------------------------------


def forget(string: str) -> None:
    """A client that is forgotten, though its handler knows it, leaves nothing behind."""

    dispatcher.IDLE_SECONDS = 0.1

    def use() -> None:
        client = sync_client(string)
        client.connect()
        client.on_connection_state_change = lambda: client.connected
        client.on_message_received = lambda message: client.connected
        client.send_message("x")

    use()
    left(use)


def forget_aio(string: str) -> None:
    """The same for an asyncio client whose loop is closed."""

    dispatcher.IDLE_SECONDS = 0.1

    async def use() -> None:
        client = aio_client(string)
        await client.connect()

        async def handle(*_: object) -> None:
            assert client.connected

        client.on_connection_state_change = handle
        client.on_message_received = handle
        await client.send_message("x")

    asyncio.run(use())
    left(lambda: asyncio.run(use()))


def left(use: Callable[[], None]) -> None:
    """What was there before is there afterwards, and no more: the connections are closed, too."""

    before = process_status.steady(held)
    for _ in range(3):
        use()
        after = process_status.steady(held)
        assert after == before, process_status.threads()


def held() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    gc.collect()
    return process_status.descriptors(), len(process_status.threads())


PROGRAMS: dict[str, Callable[..., Any]] = {
    program.__name__: program
    for program in (
        fork,
        fork_while_busy,
        multiprocess,
        exit_in_calls,
        exit_while_sending,
        exit_in_handlers,
        exit_in_tasks,
        interrupt_calls,
        interrupted,
        interrupted_aio,
        interrupt_farewells,
        forget,
        forget_aio,
    )
}

if __name__ == "__main__":
    outcome = PROGRAMS[sys.argv[1]](*sys.argv[2:])
    if asyncio.iscoroutine(outcome):
        asyncio.run(outcome)
    print("done", flush=True)
