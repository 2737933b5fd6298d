"""`azure.iot.hub.aio`: the same managers with coroutines, on one core, without threads of their own."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import traceback
from typing import Any

import pytest
from azure.iot import hub as synchronous
from azure.iot.hub import aio
from ferrohub import LocalHub
from ferrohub.service import ClientRequestError, HttpOperationError, RetryPolicy
from golden_requests import assert_official_error, assert_official_requests, assert_official_result, official_calls
from recorded_requests import RECORDED
from recording_hub import THREADS, Answer, Recorded, RecordingHub

OFFICIAL = official_calls()
ITERATORS = {"query", "devices", "events", "feedback", "file_notifications"}
NOT_COROUTINES = {"from_connection_string", "from_token_credential", "auth", "protocol"}


@pytest.mark.parametrize("name", synchronous.__all__)
def test_every_method_is_a_coroutine_function_of_the_same_signature(name: str) -> None:
    blocking, awaitable = getattr(synchronous, name), getattr(aio, name)
    members = {member for member in dir(blocking) if not member.startswith("_")} - NOT_COROUTINES
    assert members - {"close"} != set()
    for member in members:
        ours, theirs = getattr(awaitable, member), getattr(blocking, member)
        assert inspect.iscoroutinefunction(ours) or member in ITERATORS, member
        assert not inspect.iscoroutinefunction(theirs)
        assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters, member
        assert inspect.getdoc(ours)
        assert inspect.getdoc(theirs)
    assert inspect.signature(blocking) == inspect.signature(awaitable)


@pytest.mark.parametrize("name", RECORDED)
def test_a_call_asks_and_gives_what_the_official_one_does(name: str, recorder: RecordingHub) -> None:
    recorded, official = RECORDED[name], OFFICIAL[name]
    recorder.answers = recorded.answer
    manager = getattr(aio, recorded.manager).from_connection_string(recorder.connection_string())

    async def call() -> Any:
        return await recorded.call(manager)

    if "raise" in official["result"]:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared by name
            asyncio.run(call())
        assert_official_error(caught.value, official["result"])
    else:
        assert_official_result(recorded.shown(asyncio.run(call())), official["result"])
    assert_official_requests(recorder, official)


def test_a_program_works_with_a_hub(hub: LocalHub) -> None:
    async def program() -> list[str]:
        async with aio.IoTHubRegistryManager(hub.connection_string) as registry:
            names = [f"device-{number}" for number in range(50)]
            await asyncio.gather(*(registry.create_device_with_sas(name, "", "", "enabled") for name in names))
            twins = await asyncio.gather(*(registry.get_twin(name) for name in names))
            return [twin.device_id for twin in twins]

    assert asyncio.run(program()) == [f"device-{number}" for number in range(50)]


def test_no_call_has_a_thread_of_its_own(recorder: RecordingHub) -> None:
    answer_now = threading.Event()

    async def program() -> int:
        loop, all_there = asyncio.get_running_loop(), asyncio.Event()

        def answers(_request: Recorded) -> Answer:
            if len(recorder.requests) == 100:
                loop.call_soon_threadsafe(all_there.set)
            answer_now.wait(30)
            return Answer()

        recorder.answers = answers
        manager = aio.IoTHubRegistryManager(recorder.connection_string())
        before = _threads()
        tasks = [asyncio.create_task(manager.get_twin(f"d{number}")) for number in range(100)]
        await all_there.wait()
        more = _threads() - before
        answer_now.set()
        await asyncio.gather(*tasks)
        return more

    assert asyncio.run(program()) == 0


def _threads() -> int:
    """How many threads of Python there are, but for the recorder's, which has one for each connection."""
    return sum(thread.name != THREADS for thread in threading.enumerate())


def test_a_task_that_is_cancelled_ends_its_request(recorder: RecordingHub) -> None:
    ended = threading.Event()

    def answers(_request: Recorded) -> Answer:
        # The next request on another connection shows that the manager goes on.
        if len(recorder.requests) == 1:
            ended.wait(30)
        return Answer()

    async def program() -> None:
        manager = aio.IoTHubRegistryManager(recorder.connection_string())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(manager.get_twin("d"), 0.2)
        await manager.get_twin("d")
        ended.set()

    recorder.answers = answers
    asyncio.run(program())
    assert recorder.connections == 2


def test_one_manager_serves_one_event_loop_after_the_other(recorder: RecordingHub) -> None:
    manager = aio.IoTHubRegistryManager(recorder.connection_string())
    for _ in range(3):
        asyncio.run(manager.get_twin("d"))
    assert len(recorder.requests) == 3


def test_errors_are_those_of_the_managers_that_block(recorder: RecordingHub) -> None:
    recorder.answers = Answer(404, "Not Found", b'{"Message":"ErrorCode:DeviceNotFound;d"}')
    manager = aio.IoTHubRegistryManager(recorder.connection_string(), retry=RetryPolicy(attempts=1), timeout=5)
    with pytest.raises(HttpOperationError, match="DeviceNotFound: d") as caught:
        asyncio.run(manager.get_twin("d"))
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-1] == "call"
    recorder.answers = Answer(None)
    with pytest.raises(ClientRequestError, match="closed the connection"):
        asyncio.run(manager.get_twin("d"))
    with pytest.raises(ValueError, match="timeout"):
        asyncio.run(manager.get_twin("d", timeout=-1))


def test_close_ends_the_connections(recorder: RecordingHub) -> None:
    async def program() -> None:
        for _ in range(2):
            async with aio.IoTHubJobManager(recorder.connection_string()) as manager:
                await manager.get_scheduled_job("j")
        await manager.close()
        await manager.get_scheduled_job("j")

    asyncio.run(program())
    assert [request.connection for request in recorder.requests] == [1, 2, 3]


class Token:
    def __init__(self, text: str, seconds: float) -> None:
        self.token = text
        self.expires_on = int(time.time() + seconds)


class Credential:
    """Hands out tokens that live so long; counts how often it is asked."""

    def __init__(self, seconds: float = 3600) -> None:
        self.seconds = seconds
        self.asked = 0

    def _next(self, scopes: tuple[str, ...]) -> Token:
        assert scopes == ("https://iothubs.azure.net/.default",)
        self.asked += 1
        return Token(f"token {self.asked}", self.seconds)


class AsyncCredential(Credential):
    async def get_token(self, *scopes: str) -> Token:
        await asyncio.sleep(0)
        return self._next(scopes)


class BlockingCredential(Credential):
    """Blocks until the event loop has gone on meanwhile."""

    went_on = threading.Event()

    def get_token(self, *scopes: str) -> Token:
        assert self.went_on.wait(20)
        return self._next(scopes)


def _authorizations(recorder: RecordingHub) -> list[str]:
    return [
        {name.lower(): value for name, value in request.headers.items()}["authorization"]
        for request in recorder.requests
    ]


def test_calls_at_once_share_a_token(recorder: RecordingHub) -> None:
    credential = AsyncCredential()

    async def program() -> None:
        manager = aio.IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", credential)
        await asyncio.gather(*(manager.get_twin("d") for _ in range(10)))
        await manager.get_twin("d")

    asyncio.run(program())
    assert (credential.asked, _authorizations(recorder)) == (1, ["Bearer token 1"] * 11)


@pytest.mark.parametrize("seconds", [299, 330])
def test_a_token_is_renewed_five_minutes_before_its_end(seconds: float, recorder: RecordingHub) -> None:
    credential = AsyncCredential(seconds)

    async def program() -> None:
        manager = aio.IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", credential)
        for _ in range(3):
            await manager.get_twin("d")

    asyncio.run(program())
    assert credential.asked == (3 if seconds < 300 else 1)


def test_a_credential_that_blocks_does_not_stop_the_loop(recorder: RecordingHub) -> None:
    credential = BlockingCredential()

    async def program() -> None:
        manager = aio.IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", credential)
        call = asyncio.create_task(manager.get_twin("d"))
        await asyncio.sleep(0.05)
        credential.went_on.set()
        await call

    asyncio.run(program())
    assert _authorizations(recorder) == ["Bearer token 1"]


def test_a_cancelled_call_leaves_the_others_their_token(recorder: RecordingHub) -> None:
    credential = AsyncCredential()

    async def program() -> None:
        manager = aio.IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", credential)
        first, second = (asyncio.create_task(manager.get_twin("d")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second

    asyncio.run(program())
    assert credential.asked == 1


def test_an_error_of_the_credential_is_the_calls() -> None:
    class Fails:
        async def get_token(self, *_scopes: str) -> Token:
            raise LookupError("no login")

    async def program() -> None:
        manager = aio.IoTHubRegistryManager.from_token_credential("localhost:1", Fails())
        await asyncio.gather(manager.get_twin("d"), manager.get_twin("e"))

    with pytest.raises(LookupError, match="no login"):
        asyncio.run(program())


def test_an_asyncio_credential_in_a_manager_that_blocks_is_told_where_it_belongs(recorder: RecordingHub) -> None:
    credential: Any = AsyncCredential()
    manager = synchronous.IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", credential)
    with pytest.raises(TypeError, match=r"azure\.iot\.hub\.aio"):
        manager.get_twin("d")


def test_managers_that_block_share_a_token_among_threads(recorder: RecordingHub) -> None:
    credential = BlockingCredential()
    credential.went_on.set()
    manager = synchronous.IoTHubRegistryManager.from_token_credential(f"localhost:{recorder.port}", credential)
    threads = [threading.Thread(target=manager.get_twin, args=("d",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (credential.asked, len(recorder.requests)) == (1, 8)
