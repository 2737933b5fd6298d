"""What clients promise about handlers and receiving, on both: the synchronous and the asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import warnings
from typing import TYPE_CHECKING, Any, Callable

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodRequest, MethodResponse, aio
from azure.iot.device.exceptions import ClientError, OperationCancelled
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from ferrohub.service import HttpOperationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferrohub import LocalHub

SECONDS = 10
"""No test waits longer than this for anything."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Back:
    """The back end's side of one device."""

    def __init__(self, hub: LocalHub, registry: IoTHubRegistryManager) -> None:
        registry.create_device_with_sas("d", "", "", "enabled")
        self.registry = registry
        self.hub = hub

    @property
    def connection_string(self) -> str:
        return self.hub.device_connection_string("d")

    def desire(self, **properties: Any) -> None:
        self.registry.update_twin("d", Twin(properties=TwinProperties(desired=properties)), None)

    def invoke(self, name: str, payload: Any) -> tuple[int, Any]:
        """The HTTP status and the answer's body."""
        method = CloudToDeviceMethod(method_name=name, payload=payload, response_timeout_in_seconds=SECONDS)
        try:
            answer = self.registry.invoke_device_method("d", method)
        except HttpOperationError as error:
            return error.response.status_code, error.response.json()
        return 200, {"status": answer.status, "payload": answer.payload}


@pytest.fixture
def back(hub: LocalHub, registry: IoTHubRegistryManager) -> Back:
    return Back(hub, registry)


@pytest.fixture
def client(back: Back) -> Iterator[IoTHubDeviceClient]:
    client = IoTHubDeviceClient.create_from_connection_string(back.connection_string)
    yield client
    with contextlib.suppress(ClientError):  # a test may have shut it down
        client.shutdown()


def with_asyncio(back: Back, test: Callable[[aio.IoTHubDeviceClient], Any]) -> None:
    """Run a coroutine function with an asyncio client."""

    async def run() -> None:
        client = aio.IoTHubDeviceClient.create_from_connection_string(back.connection_string)
        try:
            await asyncio.wait_for(test(client), SECONDS * 2)
        finally:
            await client.shutdown()

    asyncio.run(run())


def test_a_handler_gets_each_patch_once_and_in_order(back: Back, client: IoTHubDeviceClient) -> None:
    received: queue.Queue[dict[str, Any]] = queue.Queue()
    client.on_twin_desired_properties_patch_received = received.put
    for number in range(5):
        back.desire(number=number)
    versions = [received.get(timeout=SECONDS)["$version"] for _ in range(5)]
    assert versions == [2, 3, 4, 5, 6]
    assert client.on_twin_desired_properties_patch_received == received.put


def test_a_removed_handler_ends_the_subscription(back: Back, client: IoTHubDeviceClient) -> None:
    client.on_twin_desired_properties_patch_received = print
    back.hub.wait_subscribed("d", None, "$iothub/twin/PATCH/properties/desired/#", timeout=SECONDS)
    client.on_twin_desired_properties_patch_received = None
    with pytest.raises(TimeoutError):
        back.hub.wait_subscribed("d", None, "$iothub/twin/PATCH/properties/desired/#", timeout=0.01)


def test_a_method_is_answered_by_its_handler(back: Back, client: IoTHubDeviceClient) -> None:
    def answer(request: MethodRequest) -> None:
        response = MethodResponse.create_from_method_request(request, 201, {request.name: request.payload})
        client.send_method_response(response)

    client.on_method_request_received = answer
    assert back.invoke("double", [1, None]) == (200, {"status": 201, "payload": {"double": [1, None]}})


def test_a_coroutine_handler_of_the_synchronous_client_is_run(back: Back, client: IoTHubDeviceClient) -> None:
    received: queue.Queue[int] = queue.Queue()

    async def handle(patch: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        received.put(patch["$version"])

    client.on_twin_desired_properties_patch_received = handle
    back.desire(a=1)
    assert received.get(timeout=SECONDS) == 2


def test_a_handler_may_disconnect_and_shut_down(back: Back, client: IoTHubDeviceClient) -> None:
    done = threading.Event()

    def handle(_: Any) -> None:
        client.disconnect()
        client.shutdown()
        done.set()

    client.on_twin_desired_properties_patch_received = handle
    back.desire(a=1)
    assert done.wait(SECONDS)


def test_what_a_handler_raises_reaches_on_background_exception(back: Back, client: IoTHubDeviceClient) -> None:
    errors: queue.Queue[BaseException] = queue.Queue()
    client.on_background_exception = errors.put

    def fail(patch: dict[str, Any]) -> None:
        raise LookupError(patch["$version"])

    client.on_twin_desired_properties_patch_received = fail
    back.desire(a=1)
    back.desire(a=2)
    assert [errors.get(timeout=SECONDS).args for _ in range(2)] == [(2,), (3,)]


def test_a_slow_handler_holds_up_no_other_client(back: Back, client: IoTHubDeviceClient, hub: LocalHub) -> None:
    release, seen = threading.Event(), threading.Event()
    back.registry.create_module_with_sas("d", "m", "", "", "")
    other = IoTHubModuleClient.create_from_connection_string(hub.module_connection_string("d", "m"))
    try:
        client.on_twin_desired_properties_patch_received = lambda _: release.wait(SECONDS)
        other.on_twin_desired_properties_patch_received = lambda _: seen.set()
        for number in range(20):
            back.desire(number=number)
        back.registry.update_module_twin("d", "m", Twin(properties=TwinProperties(desired={"a": 1})), None)
        assert seen.wait(SECONDS)
        client.get_twin()
    finally:
        release.set()
        other.shutdown()


def test_changes_of_the_connection_are_told(client: IoTHubDeviceClient) -> None:
    states: queue.Queue[bool] = queue.Queue()
    client.on_connection_state_change = lambda: states.put(client.connected)
    client.connect()
    assert states.get(timeout=SECONDS)
    client.disconnect()
    assert not states.get(timeout=SECONDS)


def test_receiving_by_calls_and_by_handlers_exclude_each_other(back: Back, client: IoTHubDeviceClient) -> None:
    assert client.receive_twin_desired_properties_patch(block=False) is None
    with pytest.raises(ClientError, match=r"^Cannot set receive handlers - receive APIs have already been used$"):
        client.on_message_received = print
    client.on_background_exception = print  # no receive handler
    other = IoTHubDeviceClient.create_from_connection_string(back.connection_string)
    other.on_method_request_received = print
    with pytest.raises(ClientError, match=r"^Cannot use receive APIs - receive handler\(s\) have already been set$"):
        other.receive_message(block=False)
    other.shutdown()


def test_a_method_received_by_name_goes_to_nobody_else(back: Back, client: IoTHubDeviceClient) -> None:
    assert client.receive_method_request("reboot", block=False) is None
    answers: queue.Queue[tuple[int, Any]] = queue.Queue()
    threading.Thread(target=lambda: answers.put(back.invoke("reboot", 7)), daemon=True).start()
    request = client.receive_method_request("reboot", timeout=SECONDS)
    assert request is not None
    assert (request.name, request.payload) == ("reboot", 7)
    assert client.receive_method_request(block=False) is None
    client.send_method_response(MethodResponse.create_from_method_request(request, 200))
    assert answers.get(timeout=SECONDS) == (200, {"status": 200, "payload": None})


def test_a_receive_ends_at_its_time(client: IoTHubDeviceClient) -> None:
    assert client.receive_twin_desired_properties_patch(timeout=0.05) is None
    assert client.receive_method_request(timeout=0.05) is None


@pytest.mark.parametrize(
    ("method", "arguments", "handler"),
    [
        ("receive_message", (), "on_message_received"),
        ("receive_message_on_input", ("in",), "on_message_received"),
        ("receive_method_request", (), "on_method_request_received"),
        ("receive_twin_desired_properties_patch", (), "on_twin_desired_properties_patch_received"),
    ],
)
def test_each_receive_warns_that_it_is_deprecated(
    back: Back, method: str, arguments: tuple[str, ...], handler: str
) -> None:
    back.registry.create_module_with_sas("d", "m", "", "", "")
    module = IoTHubModuleClient.create_from_connection_string(back.hub.module_connection_string("d", "m"))
    device = IoTHubDeviceClient.create_from_connection_string(back.connection_string)
    with device, module, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(module if arguments else device, method)(*arguments, block=False)
    assert str(caught[0].message) == (
        f"{method} is deprecated as of 2.3.0. We recommend that you use the .{handler} property to set a handler"
        " instead"
    )
    assert caught[0].category.__name__ == "DeprecatedWarning"
    assert issubclass(caught[0].category, DeprecationWarning)


def test_coroutine_handlers_of_the_asyncio_client_run_on_the_programs_loop(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        loop = asyncio.get_running_loop()
        received: asyncio.Queue[tuple[bool, int]] = asyncio.Queue()

        async def handle(patch: dict[str, Any]) -> None:
            received.put_nowait((asyncio.get_running_loop() is loop, patch["$version"]))

        client.on_twin_desired_properties_patch_received = handle
        await loop.run_in_executor(None, lambda: back.desire(a=1))
        await loop.run_in_executor(None, lambda: back.desire(a=2))
        assert [await received.get() for _ in range(2)] == [(True, 2), (True, 3)]

    with_asyncio(back, test)


def test_a_plain_handler_of_the_asyncio_client_does_not_stop_the_loop(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        loop = asyncio.get_running_loop()
        release = threading.Event()
        entered: asyncio.Future[int] = loop.create_future()

        def handle(patch: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(entered.set_result, patch["$version"])
            release.wait(SECONDS)

        client.on_twin_desired_properties_patch_received = handle
        await loop.run_in_executor(None, lambda: back.desire(a=1))
        assert await entered == 2
        assert (await client.get_twin())["desired"]["a"] == 1
        release.set()

    with_asyncio(back, test)


def test_an_asyncio_client_answers_methods(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        async def answer(request: MethodRequest) -> None:
            await client.send_method_response(MethodResponse.create_from_method_request(request, 200, request.payload))

        client.on_method_request_received = answer
        loop = asyncio.get_running_loop()
        answered = await loop.run_in_executor(None, lambda: back.invoke("echo", "é"))
        assert answered == (200, {"status": 200, "payload": "é"})

    with_asyncio(back, test)


def test_a_cancelled_receive_loses_nothing(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        assert await client.receive_twin_desired_properties_patch(timeout=0) is None  # it listens now
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.receive_twin_desired_properties_patch(), 0.1)
        await asyncio.get_running_loop().run_in_executor(None, lambda: back.desire(a=1))
        assert (await client.receive_twin_desired_properties_patch())["$version"] == 2

    with_asyncio(back, test)


def test_messages_of_an_asyncio_client_go_out_in_the_order_of_the_calls(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        await asyncio.gather(*[client.send_message(str(number)) for number in range(500)])

    with_asyncio(back, test)
    assert [int(message.body) for message in back.hub.telemetry()] == list(range(500))


def test_a_disconnect_cancels_what_an_asyncio_client_waits_for(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        await client.connect()
        sending = [asyncio.ensure_future(client.send_message("x")) for _ in range(50)]
        await asyncio.gather(client.disconnect(), return_exceptions=False)
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, OperationCancelled) for outcome in outcomes)

    with_asyncio(back, test)


def test_one_client_works_in_two_event_loops_one_after_the_other(back: Back) -> None:
    client = aio.IoTHubDeviceClient.create_from_connection_string(back.connection_string)
    versions: queue.Queue[int] = queue.Queue()
    client.on_twin_desired_properties_patch_received = lambda patch: versions.put(patch["$version"])

    async def desire_and_wait() -> int:
        await client.get_twin()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: back.desire(a=1))
        return await loop.run_in_executor(None, lambda: versions.get(timeout=SECONDS))

    assert asyncio.run(desire_and_wait()) == 2
    back.desire(between="the loops")
    assert asyncio.run(desire_and_wait()) == 3

    async def wait() -> int:
        await client.connect()
        return await asyncio.to_thread(versions.get, True, SECONDS)

    assert asyncio.run(wait()) == 4
    asyncio.run(client.shutdown())


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_what_no_handler_has_begun_when_its_loop_ends_is_for_the_next_loop(back: Back, kind: str) -> None:
    client: Any = aio.IoTHubDeviceClient.create_from_connection_string(back.connection_string)
    received: queue.Queue[bytes] = queue.Queue()

    async def handle(message: Message) -> None:
        received.put(message.data)

    client.on_message_received = handle if kind == "coroutine" else lambda message: received.put(message.data)

    async def end_when_it_has_come() -> None:
        await client.connect()
        back.hub.send_c2d_message("d", "x")
        # The loop stands still meanwhile, and ends with the turn in which it hears of the message.
        while back.registry.get_device("d").cloud_to_device_message_count:
            pass

    async def use() -> bytes:
        await client.connect()
        return await asyncio.to_thread(received.get, True, SECONDS)

    asyncio.run(end_when_it_has_come())
    assert received.empty()
    assert asyncio.run(use()) == b"x"
    asyncio.run(client.shutdown())


def test_a_message_from_the_cloud_arrives_with_its_properties(back: Back, client: IoTHubDeviceClient) -> None:
    received: queue.Queue[Any] = queue.Queue()
    client.on_message_received = received.put
    properties = {"a b": "1/%&=", "é": "", "$.mid": "id 1", "$.cid": "c", "$.ct": "text/plain", "$.ce": "utf-8"}
    back.hub.send_c2d_message("d", b"hello", properties=properties)
    message = received.get(timeout=SECONDS)
    assert (message.data, message.message_id, message.correlation_id) == (b"hello", "id 1", "c")
    assert (message.content_type, message.content_encoding, message.input_name) == ("text/plain", "utf-8", None)
    assert message.custom_properties == {"a b": "1/%&=", "é": ""}


def test_a_message_for_a_device_that_is_away_waits_for_it(back: Back, client: IoTHubDeviceClient) -> None:
    assert client.receive_message(block=False) is None
    client.disconnect()
    for number in range(3):
        back.hub.send_c2d_message("d", str(number))
    client.connect()
    messages = [client.receive_message(timeout=SECONDS) for _ in range(3)]
    assert [message and message.data for message in messages] == [b"0", b"1", b"2"]


def test_a_message_on_an_input_goes_to_who_receives_it_by_name(back: Back, hub: LocalHub) -> None:
    back.registry.create_module_with_sas("d", "m", "", "", "")
    module = IoTHubModuleClient.create_from_connection_string(hub.module_connection_string("d", "m"))
    assert module.receive_message_on_input("in 1", block=False) is None
    hub.send_input_message("d", "m", "in 1", b"x", {"k": "v"})
    message = module.receive_message_on_input("in 1", timeout=SECONDS)
    assert message is not None
    assert (message.data, message.input_name, message.custom_properties) == (b"x", "in 1", {"k": "v"})
    module.shutdown()


def test_a_message_to_an_output_carries_its_name(back: Back, hub: LocalHub) -> None:
    back.registry.create_module_with_sas("d", "m", "", "", "")
    module = IoTHubModuleClient.create_from_connection_string(hub.module_connection_string("d", "m"))
    message = Message(b"x")
    module.send_message_to_output(message, "out 1")
    assert message.output_name == "out 1"
    (seen,) = hub.telemetry()
    assert (seen.body, dict(seen.properties)) == (b"x", {"$.on": "out 1"})
    module.shutdown()


def test_patches_can_be_iterated_until_the_shutdown(back: Back, client: IoTHubDeviceClient) -> None:
    seen: queue.Queue[int] = queue.Queue()
    ended = threading.Event()

    def follow() -> None:
        for patch in client.desired_properties_patches():
            seen.put(patch["$version"])
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    back.hub.wait_subscribed("d", None, "$iothub/twin/PATCH/properties/desired/#", timeout=SECONDS)
    back.desire(a=1)
    back.desire(a=2)
    assert [seen.get(timeout=SECONDS) for _ in range(2)] == [2, 3]
    client.shutdown()
    assert ended.wait(SECONDS)


def test_messages_and_methods_can_be_iterated_with_asyncio(back: Back) -> None:
    async def test(client: aio.IoTHubDeviceClient) -> None:
        back.hub.send_c2d_message("d", b"x")
        async for message in client.messages():
            assert message.data == b"x"
            break
        answering = asyncio.ensure_future(_answer_one(client))
        loop = asyncio.get_running_loop()
        topic = "$iothub/methods/POST/#"
        await loop.run_in_executor(None, lambda: back.hub.wait_subscribed("d", None, topic, timeout=SECONDS))
        answered = await loop.run_in_executor(None, lambda: back.invoke("echo", 1))
        assert answered == (200, {"status": 200, "payload": 1})
        await answering

    with_asyncio(back, test)


async def _answer_one(client: aio.IoTHubDeviceClient) -> None:
    async for request in client.method_requests():
        await client.send_method_response(MethodResponse.create_from_method_request(request, 200, request.payload))
        return


def test_each_change_of_the_connection_is_one_line_in_the_log(back: Back, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="azure.iot.device")
    told: queue.Queue[None] = queue.Queue()
    with IoTHubDeviceClient.create_from_connection_string(back.connection_string) as client:
        client.on_connection_state_change = lambda: told.put(None)
        client.connect()
        back.hub.faults.drop("d")
        client.send_message("x")
        client.disconnect()
        for _ in range(4):  # connected, lost, connected again, disconnected
            told.get(timeout=SECONDS)
    states = [record.message for record in caplog.records if record.name.endswith("iothub.abstract_clients")]
    assert states[0] == "Connection State - Connected (d)"
    assert states[1].startswith("Connection State - Disconnected (d): Lost connection to IoTHub: ")
    assert states[-1] == "Connection State - Disconnected (d)"
    assert not any(record.exc_info for record in caplog.records)
    assert "SharedAccess" not in caplog.text


def test_a_first_receive_ends_at_its_time_also_when_the_hub_is_gone(
    hub: LocalHub, client: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferrohub.device.base.NO_WAIT_TIMEOUT", 0.1)
    client.connect()
    hub.stop()
    assert client.receive_message(timeout=0.1) is None
    assert client.receive_method_request(block=False) is None
