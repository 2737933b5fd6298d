"""Behaviour in which the official package has quirks: kept or not, as docs/differences.md says."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
from typing import TYPE_CHECKING, Any, Callable

import pytest
from azure.iot.device import MethodResponse
from azure.iot.device.common.pipeline.pipeline_exceptions import PipelineNotRunning
from azure.iot.device.exceptions import (
    ClientError,
    ConnectionDroppedError,
    ConnectionFailedError,
    OperationCancelled,
    OperationTimeout,
)
from sorts_of_clients import SECONDS, Sort

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferrohub import LocalHub

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CALLS: dict[str, Callable[[Any], Any]] = {
    "connect": lambda client: client.connect(),
    "disconnect": lambda client: client.disconnect(),
    "shutdown": lambda client: client.shutdown(),
    "send_message": lambda client: client.send_message("x"),
    "get_twin": lambda client: client.get_twin(),
    "patch_twin_reported_properties": lambda client: client.patch_twin_reported_properties({}),
    "send_method_response": lambda client: client.send_method_response(MethodResponse("1", 200)),
    "receive_method_request": lambda client: client.receive_method_request(),
    "receive_twin_desired_properties_patch": lambda client: client.receive_twin_desired_properties_patch(),
    "on_message_received": lambda client: setattr(client, "on_message_received", print),
}


@pytest.fixture
def client(sort: Sort) -> Iterator[Any]:
    client = sort.cls.create_from_connection_string(sort.connection_string, connection_retry_interval=1)
    yield client
    with contextlib.suppress(ClientError):  # the test may have shut it down
        sort.run(client.shutdown())


@pytest.mark.parametrize("name", CALLS)
def test_after_a_shutdown_a_call_raises_what_is_documented_and_what_was_observed(
    sort: Sort, client: Any, name: str
) -> None:
    sort.run(client.connect())
    sort.run(client.shutdown())
    with pytest.raises(ClientError, match=r"^Cannot execute method - Pipeline is not running$") as caught:
        sort.run(CALLS[name](client))
    assert isinstance(caught.value, PipelineNotRunning)
    assert not client.connected


def test_who_begins_to_listen_is_not_told_of_what_was_before(sort: Sort, client: Any) -> None:
    sort.run(client.connect())
    states: queue.Queue[bool] = queue.Queue()
    client.on_connection_state_change = lambda: states.put(client.connected)
    sort.run(client.disconnect())
    assert states.get(timeout=SECONDS) is False
    assert states.empty()


def test_a_loss_is_told_once_with_its_reason(sort: Sort, client: Any, hub: LocalHub) -> None:
    states: queue.Queue[None] = queue.Queue()
    errors: queue.Queue[BaseException] = queue.Queue()
    client.on_connection_state_change = lambda: states.put(None)
    client.on_background_exception = errors.put
    sort.run(client.connect())
    hub.faults.drop()
    for _ in ("connected", "lost", "connected again"):
        states.get(timeout=SECONDS)
    sort.run(client.disconnect())
    states.get(timeout=SECONDS)
    assert states.empty()
    assert [type(error) for error in errors.queue] == [ConnectionDroppedError]


def test_a_refused_connect_is_told_to_its_caller_only(sort: Sort, client: Any, hub: LocalHub) -> None:
    told: queue.Queue[Any] = queue.Queue()
    client.on_connection_state_change = lambda: told.put("state")
    client.on_background_exception = told.put
    with hub.faults.refuse_connects(), pytest.raises(ConnectionFailedError):
        sort.run(client.connect())
    sort.run(client.connect())
    assert told.get(timeout=SECONDS) == "state"
    assert told.empty()


def test_a_call_that_has_failed_is_not_sent_later(sort: Sort, client: Any, hub: LocalHub) -> None:
    sort.run(client.connect())
    with hub.faults.withhold_pubacks():
        outcomes = sort.run(client.send_messages(["in flight"] * 64 + ["queued"] * 6, timeout=0.1))
        assert {type(outcome) for outcome in outcomes} == {OperationTimeout}
        sort.run(client.disconnect())
    sort.run(client.send_message("next"))
    assert [message.body for message in hub.telemetry()] == [b"in flight"] * 64 + [b"next"]


def test_a_handler_whose_subscription_has_failed_stays_and_can_be_set_again(
    sort: Sort, client: Any, hub: LocalHub
) -> None:
    received: queue.Queue[Any] = queue.Queue()
    with hub.faults.refuse_subscriptions(), pytest.raises(ClientError, match="refused the subscription"):
        client.on_message_received = received.put
    assert client.on_message_received == received.put
    client.on_message_received = received.put
    sort.send("x", {})
    assert received.get(timeout=SECONDS).data == b"x"


def test_disconnect_does_not_wait_for_handlers(sort: Sort, client: Any) -> None:
    entered, release, left = threading.Event(), threading.Event(), threading.Event()

    def handle(_: Any) -> None:
        entered.set()
        release.wait(SECONDS)
        left.set()

    client.on_twin_desired_properties_patch_received = handle
    sort.desire(a=1)
    assert entered.wait(SECONDS)
    sort.run(client.disconnect())
    assert not left.is_set()
    release.set()
    assert left.wait(SECONDS)


def test_messages_and_patches_that_have_come_stay_after_a_disconnect_and_method_calls_do_not(
    sort: Sort, client: Any
) -> None:
    for receive in (client.receive_twin_desired_properties_patch, client.receive_method_request):
        assert sort.run(receive(timeout=0)) is None
    receive_message = (
        (lambda **time: client.receive_message_on_input("in 1", **time)) if sort.of_module else client.receive_message
    )
    assert sort.run(receive_message(timeout=0)) is None
    sort.send("x", {})
    sort.desire(a=1)
    answered = sort.call_method("first")
    # A method call that comes shows that what was sent before it has come too.
    arrived = sort.run(client.receive_method_request(timeout=SECONDS))
    sort.run(client.send_method_response(MethodResponse.create_from_method_request(arrived, 200)))
    answered.get(timeout=SECONDS)
    answered = sort.call_method("second")
    sort.run(client.disconnect())
    assert isinstance(answered.get(timeout=SECONDS), Exception)
    assert sort.run(client.receive_twin_desired_properties_patch(timeout=SECONDS))["a"] == 1
    assert sort.run(receive_message(timeout=SECONDS)).data == b"x"
    sort.run(client.connect())
    assert sort.run(client.receive_method_request(timeout=0.05)) is None


def test_a_client_whose_connect_hangs_holds_up_no_other(sort: Sort, client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"localhost:{silent.getsockname()[1]}"
        text = sort.connection_string.replace(sort.back.host_name, host)
        hanging = sort.cls.create_from_connection_string(text)
        failures: queue.Queue[Exception] = queue.Queue()

        def connect() -> None:
            try:
                sort.run(hanging.connect(timeout=SECONDS))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at below
                failures.put(error)

        connecting = threading.Thread(target=connect)
        connecting.start()
        sort.run(client.send_messages(["x"] * 100))
        assert sort.run(client.get_twin(timeout=SECONDS))["desired"]["$version"] == 1
        assert connecting.is_alive()
        sort.run(hanging.disconnect())
        connecting.join(SECONDS)
    assert [type(error) for error in failures.queue] == [OperationCancelled]


def test_a_message_stays_with_the_hub_while_nobody_handles_it(sort: Sort, client: Any) -> None:
    received: queue.Queue[Any] = queue.Queue()
    client.on_message_received = received.put
    client.on_message_received = None
    sort.send("x", {})
    sort.run(client.get_twin())
    assert received.empty()
    client.on_message_received = received.put
    assert received.get(timeout=SECONDS).data == b"x"


@pytest.mark.parametrize("coroutine", [False, True])
def test_at_most_four_methods_are_handled_at_once(sort: Sort, client: Any, coroutine: bool) -> None:
    entered: queue.Queue[Any] = queue.Queue()
    release = threading.Event()

    def handle(request: Any) -> None:
        entered.put(request)
        release.wait(SECONDS)

    async def handle_as_coroutine(request: Any) -> None:
        entered.put(request)
        while not release.is_set():  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.01)

    sort.run(client.connect())  # from now on an asyncio client has its loop
    client.on_method_request_received = handle_as_coroutine if coroutine else handle
    answers = [sort.call_method(str(number)) for number in range(6)]
    requests = [entered.get(timeout=SECONDS) for _ in range(4)]
    # All six have come by the time something later is answered.
    sort.run(client.get_twin())
    assert entered.empty()
    release.set()
    requests += [entered.get(timeout=SECONDS) for _ in range(2)]
    for request in requests:
        sort.run(client.send_method_response(MethodResponse.create_from_method_request(request, 200, request.name)))
    assert sorted(answer.get(timeout=SECONDS)["payload"] for answer in answers) == list("012345")
