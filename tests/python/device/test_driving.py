"""Who drives the connection of a synchronous client: the threads that wait, and a thread of the core between calls."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse
from azure.iot.hub.models import CloudToDeviceMethod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

ROUNDS = 40
SECONDS = 20


@pytest.fixture
def client(hub: LocalHub, registry: IoTHubRegistryManager) -> Iterator[IoTHubDeviceClient]:
    registry.create_device_with_sas("d", "", "", "enabled")
    with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as client:
        yield client


def answer_methods(client: IoTHubDeviceClient) -> None:
    def answer(call: MethodRequest) -> None:
        client.send_method_response(MethodResponse.create_from_method_request(call, 200, call.payload))

    client.on_method_request_received = answer


def call(registry: IoTHubRegistryManager, number: int) -> object:
    method = CloudToDeviceMethod(method_name="echo", payload=number, response_timeout_in_seconds=SECONDS)
    return registry.invoke_device_method("d", method).payload


def test_what_comes_between_two_calls_is_handled(client: IoTHubDeviceClient, registry: IoTHubRegistryManager) -> None:
    answer_methods(client)
    for number in range(ROUNDS):
        client.send_message("x")
        assert call(registry, number) == number


def test_what_comes_while_others_call_is_handled(
    client: IoTHubDeviceClient, registry: IoTHubRegistryManager, hub: LocalHub
) -> None:
    answer_methods(client)
    sent, done = 0, threading.Event()

    def send() -> None:
        nonlocal sent
        while not done.is_set():
            client.send_message("x")
            sent += 1

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        try:
            assert [call(registry, number) for number in range(ROUNDS)] == list(range(ROUNDS))
        finally:
            done.set()
        sending.result(SECONDS)
    assert sent == len(hub.telemetry()) > 0


@pytest.mark.filterwarnings("ignore:receive_message is deprecated")
def test_who_waits_for_a_message_does_not_keep_others_from_sending(
    client: IoTHubDeviceClient, registry: IoTHubRegistryManager, hub: LocalHub
) -> None:
    client.connect()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.receive_message, True, SECONDS)
        for _ in range(ROUNDS):
            client.send_message("x", timeout=SECONDS)
        registry.send_c2d_message("d", "hello")
        received = waiting.result(SECONDS)
        assert received is not None
        assert received.data == b"hello"
    assert len(hub.telemetry()) == ROUNDS


def test_threads_that_send_at_once_share_the_driving(client: IoTHubDeviceClient, hub: LocalHub) -> None:
    def send(number: int) -> None:
        for count in range(ROUNDS):
            client.send_message(f"{number}/{count}", timeout=SECONDS)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))
    bodies = [message.body.decode() for message in hub.telemetry()]
    for number in range(8):
        assert [body for body in bodies if body.startswith(f"{number}/")] == [f"{number}/{n}" for n in range(ROUNDS)]
