"""`send_c2d_message` and `send_c2d_messages` against a local hub: outcomes, errors, and what a connection survives."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import process_status
import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager, aio
from ferrohub import LocalHub
from ferrohub.service import TransportType
from ferrohub.service.message_errors import (
    AMQPConnectionError,
    LinkDetach,
    MessageError,
    MessageHandlerError,
    MessageRejected,
    MessageTimeout,
    TokenAuthFailure,
)

SECONDS = 20
TRANSPORTS = list(TransportType)


@pytest.fixture
def device(hub: LocalHub, registry: IoTHubRegistryManager) -> IoTHubDeviceClient:
    """A device that listens."""
    registry.create_device_with_sas("d", "", "", "enabled")
    client = IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d"))
    client.connect()
    return client


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_message_arrives_through_the_one_port(hub: LocalHub, device: Any, transport: TransportType) -> None:
    with IoTHubRegistryManager(hub.connection_string, transport_type=transport) as registry:
        sent = {"messageId": 7, "correlationId": uuid.UUID(int=1), "ack": "x", "iothub-ack": "none"}
        registry.send_c2d_message("d", "hello", sent)
        registry.send_c2d_message("d", b"\0")
        messages = iter(device.messages())
        first, second = next(messages), next(messages)
    assert (first.data, first.message_id, first.correlation_id) == (b"hello", "7", str(uuid.UUID(int=1)))
    assert (first.custom_properties, first.ack) == ({"ack": "x"}, "none")
    assert second.data == b"\0"
    assert uuid.UUID(second.message_id).version == 4


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_coroutine_sends_likewise(hub: LocalHub, device: Any, transport: TransportType) -> None:
    async def send() -> list[Any]:
        async with aio.IoTHubRegistryManager(hub.connection_string, transport_type=transport) as registry:
            await asyncio.gather(*(registry.send_c2d_message("d", str(number)) for number in range(20)))
            with pytest.raises(MessageRejected, match="404001"):
                await registry.send_c2d_message("nobody", "hello")
            return await registry.send_c2d_messages([("d", "20"), ("nobody", "21")])

    sent, refused = asyncio.run(send())
    assert sent is None
    assert isinstance(refused, MessageRejected)
    messages = iter(device.messages())
    # Coroutines that are gathered send in any order.
    assert sorted(int(next(messages).data) for _ in range(21)) == list(range(21))


def test_many_messages_have_an_outcome_each_in_their_order(hub: LocalHub, registry: IoTHubRegistryManager) -> None:
    for device in ("a", "b"):
        registry.create_device_with_sas(device, "", "", "enabled")
    sent = [("a", str(number), {"messageId": str(number)}) for number in range(51)]
    results = registry.send_c2d_messages(
        [*sent, ("nobody", "x"), ("b", "y"), ("b", "x" * 70_000), ("b", "z" * 2_000_000)]
    )
    assert results[:50] == [None] * 50
    assert [None if error is None else getattr(error, "status_code", ValueError) for error in results[50:]] == [
        403,
        404,
        None,
        413,
        ValueError,
    ]
    assert registry.send_c2d_messages([]) == []
    # A mistake among them is told before any is sent.
    with pytest.raises(TypeError):
        registry.send_c2d_messages([("b", "1"), ("b", "2", {"list": [1]})])
    assert registry.get_device("b").cloud_to_device_message_count == 1


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"contentType": 1}, "content_type must be bytes or str."),
        ({"contentEncoding": 1}, "content_encoding must be bytes or str."),
        ({"expiryTimeUtc": "tomorrow"}, "absolute_expiry_time must be an integer."),
        ({"messageId": -1}, "messageId must be"),
        ({"correlationId": 1.5}, "correlationId must be"),
        ({"k": [1]}, "the property k must be"),
        ({"k": 2**63}, "k is too large"),
        ({1: "v"}, "names of properties must be str"),
    ],
)
def test_what_can_not_be_sent_is_told(registry: IoTHubRegistryManager, properties: dict[Any, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        registry.send_c2d_message("d", "hello", properties)


def test_the_hubs_reason_is_in_the_error(hub: LocalHub, registry: IoTHubRegistryManager) -> None:
    with pytest.raises(MessageRejected, match=r"C2D message send failure: .*nobody.*amqp:not-found, 404001") as caught:
        registry.send_c2d_message("nobody", "hello")
    assert (caught.value.status_code, caught.value.may_have_arrived) == (404, False)


def test_each_refusal_has_the_hubs_reason_with_asyncio_as_without(hub: LocalHub) -> None:
    soon = int(time.time() * 1000)
    refused: list[tuple[int, str, tuple[Any, ...]]] = [
        (404, "amqp:not-found, 404001", ("nobody", "hello")),
        (403, "amqp:resource-limit-exceeded, 403004", ("d", "the fifty-first")),
        (413, "amqp:link:message-size-exceeded, 413001", ("d", "x" * 70_000)),
        (403, "argument-out-of-range, 403009", ("d", "hello", {"expiryTimeUtc": soon - 1000})),
        (403, "argument-out-of-range, 403009", ("d", "hello", {"expiryTimeUtc": soon + 3 * 24 * 3_600_000})),
    ]
    registry = IoTHubRegistryManager(hub.connection_string)
    registry.create_device_with_sas("d", "", "", "enabled")
    assert registry.send_c2d_messages([("d", str(number)) for number in range(50)]) == [None] * 50

    async def check() -> None:
        async with aio.IoTHubRegistryManager(hub.connection_string) as there:
            for status, reason, message in refused:
                with pytest.raises(MessageRejected, match=reason) as caught:
                    await there.send_c2d_message(*message)
                assert (caught.value.status_code, caught.value.may_have_arrived) == (status, False)

    for status, reason, message in refused:
        with pytest.raises(MessageRejected, match=reason) as caught:
            registry.send_c2d_message(*message)
        assert (caught.value.status_code, caught.value.may_have_arrived) == (status, False)
    asyncio.run(check())


def test_a_wrong_key_is_a_refused_token_each_time(hub: LocalHub) -> None:
    string = hub.connection_string.rpartition("SharedAccessKey=")[0] + "SharedAccessKey=Zm9vYmFy"
    wrong = IoTHubRegistryManager(string)
    for _ in range(2):
        with pytest.raises(TokenAuthFailure, match="401"):
            wrong.send_c2d_message("d", "hello")

    async def check() -> None:
        async with aio.IoTHubRegistryManager(string) as there:
            with pytest.raises(TokenAuthFailure, match="401"):
                await there.send_c2d_message("d", "hello")

    asyncio.run(check())


def test_a_policy_without_the_right_is_a_refused_link(hub: LocalHub) -> None:
    string = hub.policy_connection_string("registryRead")
    with pytest.raises(TokenAuthFailure, match="ServiceConnect"):
        IoTHubRegistryManager(string).send_c2d_message("d", "hello")


def test_a_credential_is_asked_for_its_token(hub: LocalHub) -> None:
    token = SimpleNamespace(token="jwt", expires_on=int(time.time()) + 3600)
    credential = SimpleNamespace(get_token=lambda scope: token)
    host = hub.connection_string.split(";")[0].removeprefix("HostName=")
    registry = IoTHubRegistryManager.from_token_credential(host, credential)
    with pytest.raises(TokenAuthFailure, match="Entra") as caught:
        registry.send_c2d_message("d", "hello")
    assert "jwt" not in str(caught.value)


def test_a_hub_that_is_not_there_or_not_trusted_is_no_connection(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nowhere = IoTHubRegistryManager(hub.connection_string.replace(f":{hub.port}", f":{port}"))
    with pytest.raises(AMQPConnectionError, match=str(port)):
        nowhere.send_c2d_message("d", "hello")
    monkeypatch.setenv("FERROHUB_HOME", str(tmp_path))
    with pytest.raises(AMQPConnectionError, match="not trusted"):
        IoTHubRegistryManager(hub.connection_string).send_c2d_message("d", "hello")


def test_a_hub_that_never_answers_costs_the_timeout(hub: LocalHub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = IoTHubRegistryManager(hub.connection_string.replace(f":{hub.port}", f":{port}"), timeout=0.5)
        begun = time.monotonic()
        with pytest.raises(MessageTimeout, match="never sent") as caught:
            silent.send_c2d_message("d", "hello")
        assert 0.4 < time.monotonic() - begun < 5
    assert isinstance(caught.value, TimeoutError)
    assert not caught.value.may_have_arrived


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_forked_child_has_a_connection_of_its_own(hub: LocalHub, transport: TransportType) -> None:
    registry = IoTHubRegistryManager(hub.connection_string, transport_type=transport, timeout=SECONDS)
    registry.create_device_with_sas("d", "", "", "enabled")
    registry.send_c2d_message("d", "before")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            registry.send_c2d_message("d", "child")
            status = 0 if registry.send_c2d_messages([("d", "child")]) == [None] else 2
        finally:
            os._exit(status)
    registry.send_c2d_message("d", "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    registry.send_c2d_message("d", "after")
    assert registry.get_device("d").cloud_to_device_message_count == 5


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("way", ["closed", "forgotten"])
def test_a_manager_that_is_closed_or_forgotten_leaves_no_thread_and_no_connection(
    hub: LocalHub, transport: TransportType, way: str
) -> None:
    def open_things() -> object:
        return process_status.threads(), process_status.descriptors()

    def send_from(registry: IoTHubRegistryManager) -> object:
        registry.send_c2d_message("d", "hello")
        meanwhile = open_things()
        if way == "closed":
            registry.close()
        return meanwhile

    with IoTHubRegistryManager(hub.connection_string) as other:
        other.create_device_with_sas("d", "", "", "enabled")
        # The thread that looks after connections is started once, and stays.
        other.send_c2d_message("d", "hello")
    before = process_status.steady(open_things)
    assert send_from(IoTHubRegistryManager(hub.connection_string, transport_type=transport)) != before
    assert process_status.settled(open_things, lambda found: found == before) == before


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_threads_share_the_connection(hub: LocalHub, transport: TransportType) -> None:
    registry = IoTHubRegistryManager(hub.connection_string, transport_type=transport, timeout=SECONDS)
    names = [f"d{number}" for number in range(8)]
    for name in names:
        registry.create_device_with_sas(name, "", "", "enabled")

    def send(name: str) -> None:
        for number in range(25):
            registry.send_c2d_message(name, str(number))

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(send, names))
    assert [registry.get_device(name).cloud_to_device_message_count for name in names] == [25] * len(names)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ten_minutes_without_a_message_are_not_noticed(hub: LocalHub, transport: TransportType) -> None:
    registry = IoTHubRegistryManager(hub.connection_string, transport_type=transport, timeout=SECONDS)
    registry.create_device_with_sas("d", "", "", "enabled")
    registry.send_c2d_message("d", "before")
    time.sleep(600)
    registry.send_c2d_message("d", "after")
    assert registry.get_device("d").cloud_to_device_message_count == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_hub_that_was_killed_between_messages_is_not_noticed(tmp_path: Path, transport: TransportType) -> None:
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        registry = IoTHubRegistryManager(hub.connection_string, transport_type=transport)
        registry.create_device_with_sas("d", "", "", "enabled")
        for number in range(5):
            registry.send_c2d_message("d", str(number))
            hub.kill()
            hub.restart()
        assert registry.send_c2d_messages([("d", "5")]) == [None]
        assert registry.get_device("d").cloud_to_device_message_count == 6


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_hub_that_is_killed_meanwhile_leaves_one_outcome_each_and_none_that_is_false(
    tmp_path: Path, transport: TransportType
) -> None:
    with LocalHub(process=True, data=tmp_path / "hub.data") as hub:
        registry = IoTHubRegistryManager(hub.connection_string, transport_type=transport, timeout=SECONDS)
        names = [f"d{number}" for number in range(40)]
        for name in names:
            registry.create_device_with_sas(name, "", "", "enabled")
        results: list[Any] = []

        def send() -> None:
            for turn in range(5):
                results.extend(registry.send_c2d_messages([(name, str(turn)) for name in names]))

        sending = threading.Thread(target=send)
        sending.start()
        for _ in range(3):
            hub.kill()
            hub.restart()
        sending.join(SECONDS)
        assert not sending.is_alive()
        assert len(results) == 200
        accepted = sum(result is None for result in results)
        for error in results:
            assert error is None or isinstance(error, (MessageHandlerError, AMQPConnectionError, LinkDetach)), error
        doubtful = sum(isinstance(error, MessageError) and error.may_have_arrived for error in results)
        waiting = sum(registry.get_device(name).cloud_to_device_message_count for name in names)
        assert accepted <= waiting <= accepted + doubtful
