"""What a client promises while the hub or the network fails: every call ends once, every accepted message arrives."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.device.exceptions import ClientError, CredentialError, OperationTimeout
from azure.iot.hub.models import Twin, TwinProperties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

SECONDS = 20
"""No test waits longer than this for anything."""


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    return hub.device_connection_string("d")


@pytest.fixture
def client(connection_string: str) -> Iterator[IoTHubDeviceClient]:
    with IoTHubDeviceClient.create_from_connection_string(connection_string, connection_retry_interval=1) as client:
        client.connect()
        yield client


def bodies(hub: LocalHub) -> list[int]:
    return [int(message.body) for message in hub.telemetry()]


def desire(registry: IoTHubRegistryManager, value: int) -> None:
    registry.update_twin("d", Twin(properties=TwinProperties(desired={"value": value})), None)


@pytest.mark.timeout(120)
def test_every_message_arrives_through_a_hundred_losses_of_the_connection(
    hub: LocalHub, client: IoTHubDeviceClient
) -> None:
    stopped = threading.Event()

    def drop() -> None:
        for _ in range(100):
            hub.faults.drop("d")
            if stopped.wait(0.005):
                return

    dropping = threading.Thread(target=drop)
    dropping.start()
    sent = 0
    while dropping.is_alive():
        assert client.send_messages([str(number) for number in range(sent, sent + 50)]) == [None] * 50
        sent += 50
    stopped.set()
    dropping.join()
    arrived = bodies(hub)
    first = list(dict.fromkeys(arrived))  # a repeated message may arrive twice
    assert first == list(range(sent))


def test_patches_come_once_and_in_order_through_losses_of_session_and_connection(
    hub: LocalHub, registry: IoTHubRegistryManager, client: IoTHubDeviceClient
) -> None:
    values: queue.Queue[int] = queue.Queue()
    client.on_twin_desired_properties_patch_received = lambda patch: values.put(patch["$version"])
    for number in range(30):
        desire(registry, number)
        if number % 3 == 0:
            hub.faults.drop("d")
        elif number % 3 == 1:
            hub.faults.lose_session("d")
    seen: list[int] = []
    while not seen or seen[-1] < 31:
        seen.append(values.get(timeout=SECONDS))
    assert seen == sorted(set(seen))


def test_a_cut_cable_is_noticed_within_one_and_a_half_keep_alives(hub: LocalHub, connection_string: str) -> None:
    states: queue.Queue[bool] = queue.Queue()
    with IoTHubDeviceClient.create_from_connection_string(connection_string, keep_alive=1) as client:
        client.connect()
        client.on_connection_state_change = lambda: states.put(client.connected)
        begin = time.monotonic()
        with hub.faults.freeze("d"):
            assert states.get(timeout=SECONDS) is False
            assert time.monotonic() - begin < 2
        assert states.get(timeout=SECONDS) is True
        client.send_message("1")


@pytest.mark.alone
def test_without_an_acknowledgement_a_call_ends_at_its_time(hub: LocalHub, client: IoTHubDeviceClient) -> None:
    with hub.faults.withhold_pubacks("d"):
        begin = time.monotonic()
        with pytest.raises(OperationTimeout, match="sent, not acknowledged"):
            client.send_message("1", timeout=0.3)
        assert 0.3 <= time.monotonic() - begin < 0.6
    hub.faults.drop("d")
    client.send_message("2")
    assert bodies(hub) == [1, 2], "what has timed out is not sent again"


def test_a_late_or_repeated_acknowledgement_completes_its_own_message_only(
    hub: LocalHub, client: IoTHubDeviceClient
) -> None:
    with hub.faults.duplicate_pubacks("d"):
        assert client.send_messages([str(number) for number in range(200)]) == [None] * 200
    with hub.faults.delay_pubacks(0.05, "d"):
        assert client.send_messages([str(number) for number in range(200, 400)]) == [None] * 200
    assert bodies(hub) == list(range(400))


def test_a_refused_subscription_raises(hub: LocalHub, client: IoTHubDeviceClient) -> None:
    with hub.faults.refuse_subscriptions("d"), pytest.raises(ClientError, match="refused the subscription"):
        client.get_twin()
    assert client.get_twin()["desired"]["$version"] == 1


def test_rejected_tokens_are_made_anew_until_one_is_taken(hub: LocalHub, client: IoTHubDeviceClient) -> None:
    errors: queue.Queue[Any] = queue.Queue()
    client.on_background_exception = errors.put
    with hub.faults.reject_tokens("d"):
        while not isinstance(errors.get(timeout=SECONDS), CredentialError):
            pass
    client.send_message("1")
    assert client.statistics["reconnects"] == 1


def test_a_clock_that_jumps_ahead_costs_no_message(hub: LocalHub, client: IoTHubDeviceClient) -> None:
    assert client.send_messages(["0", "1"]) == [None] * 2
    hub.faults.move_clock(2000)  # the token lives for an hour
    assert client.send_messages(["2", "3"]) == [None] * 2
    assert bodies(hub) == [0, 1, 2, 3]


@pytest.mark.timeout(120)
def test_ten_clients_send_through_killed_and_restarted_hubs(tmp_path_factory: pytest.TempPathFactory) -> None:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

    data = tmp_path_factory.mktemp("hub") / "hub.data"
    outcomes: queue.Queue[list[Exception | None]] = queue.Queue()
    with LocalHub(process=True, data=data) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        clients = []
        for number in range(10):
            registry.create_device_with_sas(f"d{number}", "", "", "enabled")
            text = hub.device_connection_string(f"d{number}")
            clients.append(IoTHubDeviceClient.create_from_connection_string(text, connection_retry_interval=1))
        stopped = threading.Event()

        def send(client: IoTHubDeviceClient) -> None:
            while not stopped.is_set():
                outcomes.put(client.send_messages(["x"] * 20))
                client.get_twin()

        for client in clients:
            client.connect()
        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for _ in range(5):
            outcomes.get(timeout=SECONDS)
            hub.kill()
            hub.restart()
        stopped.set()
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        assert all(client.connected for client in clients)
        for client in clients:
            client.shutdown()
    assert {outcome for outcomes_of_one in outcomes.queue for outcome in outcomes_of_one} == {None}
