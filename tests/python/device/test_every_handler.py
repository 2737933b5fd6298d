"""What holds for every handler of every sort of client: any call works in it, and what it raises is told."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Callable

import pytest
from azure.iot.device import aio
from azure.iot.device.exceptions import ClientError
from ferrohub.device.auth.sastoken import RenewableSasToken
from ferrohub.device.auth.signing_mechanism import SymmetricKeySigningMechanism
from sorts_of_clients import SECONDS, Sort

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN_SECONDS = 2
"""Short enough to wait for, long enough to connect with."""


def lose_connection(sort: Sort, client: Any) -> None:
    sort.run(client.connect())
    sort.back.hub.faults.drop()


OCCASIONS: dict[str, Callable[[Sort, Any], Any]] = {
    "on_message_received": lambda sort, _: sort.send("x", {}),
    "on_method_request_received": lambda sort, _: sort.call_method("m"),
    "on_twin_desired_properties_patch_received": lambda sort, _: sort.desire(a=1),
    "on_connection_state_change": lambda sort, client: sort.run(client.connect()),
    "on_background_exception": lose_connection,
    "on_new_sastoken_required": lambda *_: None,
}
"""What makes a handler be called."""


@pytest.fixture
def client(sort: Sort) -> Iterator[Any]:
    resource = f"{sort.back.host_name}/devices/{sort.path}"
    token = RenewableSasToken(resource, SymmetricKeySigningMechanism(sort.key), ttl=TOKEN_SECONDS)
    client = sort.cls.create_from_sastoken(str(token))
    yield client
    with contextlib.suppress(ClientError):  # a test may have shut it down
        sort.run(client.shutdown())


def handler(sort: Sort, handle: Callable[[Any], Any]) -> Callable[..., Any]:
    """A handler for any occasion; a coroutine function for asyncio clients."""

    def plain(*_: Any) -> None:
        handle(None)

    async def coroutine(*_: Any) -> None:
        await handle(None)

    return coroutine if sort.sdk is aio else plain


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_disconnect_and_shutdown_work_in_every_handler(sort: Sort, client: Any, occasion: str) -> None:
    done = threading.Event()

    def leave(_: Any) -> None:
        client.disconnect()
        with contextlib.suppress(ClientError):  # another call of the same handler may have been quicker
            client.shutdown()
        done.set()

    async def leave_with_asyncio(_: Any) -> None:
        await client.disconnect()
        with contextlib.suppress(ClientError):
            await client.shutdown()
        done.set()

    setattr(client, occasion, handler(sort, leave_with_asyncio if sort.sdk is aio else leave))
    OCCASIONS[occasion](sort, client)
    assert done.wait(SECONDS)
    assert not client.connected


@pytest.mark.parametrize("occasion", [name for name in OCCASIONS if name != "on_background_exception"])
def test_what_every_handler_raises_reaches_on_background_exception(sort: Sort, client: Any, occasion: str) -> None:
    errors: queue.Queue[BaseException] = queue.Queue()
    client.on_background_exception = errors.put

    def fail(_: Any) -> None:
        raise LookupError(occasion)

    async def fail_with_asyncio(_: Any) -> None:
        raise LookupError(occasion)

    setattr(client, occasion, handler(sort, fail_with_asyncio if sort.sdk is aio else fail))
    OCCASIONS[occasion](sort, client)
    while not isinstance(error := errors.get(timeout=SECONDS), LookupError):
        pass  # the token may be over, and the hub have closed
    assert error.args == (occasion,)


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_a_coroutine_function_is_a_handler_of_every_client(sort: Sort, client: Any, occasion: str) -> None:
    called = threading.Event()

    async def handle(*_: Any) -> None:
        called.set()

    setattr(client, occasion, handle)
    OCCASIONS[occasion](sort, client)
    assert called.wait(SECONDS)
