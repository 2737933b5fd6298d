"""The built-in endpoint, read by the official client of Event Hubs in each of its ways."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import official_python

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).parent.parent / "event_hubs_program.py"
WAYS = ["sync tcp", "sync websockets", "asyncio tcp", "asyncio websockets"]
DEVICES, EACH = 5, 20
COUNT = DEVICES * EACH + 1
Events = list[dict[str, Any]]
KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZw=="


class Client:
    """The official client, in a program of its own."""

    def __init__(self, hub: LocalHub, way: str) -> None:
        command = [str(official_python()), str(PROGRAM), hub.event_hubs_connection_string, hub.ca_file, *way.split()]
        self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, call: str, **options: Any) -> None:
        """Begin a call."""
        assert self._program.stdin
        print(json.dumps({"call": call, **options}), file=self._program.stdin, flush=True)

    def outcome(self) -> Any:
        """What it came to."""
        assert self._program.stdout
        return json.loads(self._program.stdout.readline())

    def ask(self, call: str, **options: Any) -> Any:
        """Call something to its end."""
        self.begin(call, **options)
        return self.outcome()

    def close(self) -> None:
        """End the program."""
        with self._program as program:
            assert program.stdin
            program.stdin.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    """One whose devices have sent messages, and a module one with all properties there are."""
    with LocalHub(consumer_groups=["other"]) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        for number in range(DEVICES):
            registry.create_device_with_sas(f"d{number}", KEY, KEY, "enabled")
        for number in range(DEVICES):
            device = IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(f"d{number}"))
            for index in range(EACH):
                device.send_message(f"{index}")
            device.shutdown()
        registry.create_module_with_sas("d0", "m", "", KEY, KEY)
        send_named(hub)
        yield hub


def send_named(hub: LocalHub) -> None:
    module = IoTHubModuleClient.create_from_connection_string(hub.module_connection_string("d0", "m"))
    message = Message(b"named", message_id="mid", content_encoding="utf-8", content_type="application/json")
    message.correlation_id, message.user_id, message.expiry_time_utc = "cid", "uid", "2030-01-02T03:04:05Z"
    message.custom_properties = {"a b": "c&d=é", "empty": ""}
    module.send_message(message)
    module.shutdown()


@pytest.fixture(scope="module", params=WAYS)
def any_client(request: pytest.FixtureRequest, hub: LocalHub) -> Iterator[Client]:
    """The official client, in one of its ways."""
    client = Client(hub, request.param)
    yield client
    client.close()


@pytest.fixture(scope="module", params=[WAYS[0], WAYS[-1]])
def either_client(request: pytest.FixtureRequest, hub: LocalHub) -> Iterator[Client]:
    """The official client in two ways that have nothing in common: reading a few events takes it seconds."""
    client = Client(hub, request.param)
    yield client
    client.close()


@pytest.fixture(scope="module")
def client(hub: LocalHub) -> Iterator[Client]:
    """The official client, for what does not depend on its way."""
    client = Client(hub, WAYS[0])
    yield client
    client.close()


@pytest.fixture(scope="module")
def all_events(client: Client) -> Events:
    """All events there are, read once."""
    return read_all(client)


def read_all(client: Client) -> Events:
    events: Events = client.ask("read", count=COUNT)
    assert isinstance(events, list), events
    return events


def of(event: dict[str, Any]) -> str:
    """The device of an event."""
    device: str = event["system"]["iothub-connection-device-id"]
    return device


@pytest.mark.timeout(120)
def test_every_event_is_read_in_the_order_of_its_device(any_client: Client) -> None:
    by_device: dict[str, list[str]] = {}
    by_partition: dict[str, list[int]] = {}
    for event in read_all(any_client):
        by_device.setdefault(of(event), []).append(event["body"])
        by_partition.setdefault(event["partition"], []).append(event["sequence"])
    for number in range(DEVICES):
        assert by_device[f"d{number}"][:EACH] == [str(index) for index in range(EACH)]
    for sequences in by_partition.values():
        assert sequences == list(range(len(sequences)))


@pytest.mark.timeout(120)
def test_the_endpoint_and_its_partitions_tell_of_themselves(either_client: Client, all_events: Events) -> None:
    endpoint, partitions = either_client.ask("properties")
    assert endpoint["eventhub_name"] == "iothub-ehub-localhost"
    assert endpoint["partition_ids"] == ["0", "1", "2", "3"]
    for partition in partitions:
        last = [event for event in all_events if event["partition"] == partition["id"]][-1]
        assert partition["eventhub_name"] == "iothub-ehub-localhost"
        assert partition["beginning_sequence_number"] == 0
        assert partition["last_enqueued_sequence_number"] == last["sequence"]
        assert partition["last_enqueued_offset"] == last["offset"]
        assert not partition["is_empty"]


@pytest.mark.timeout(120)
def test_reading_begins_where_it_was_told_to(either_client: Client, all_events: Events) -> None:
    partition = all_events[0]["partition"]
    of_partition = [event for event in all_events if event["partition"] == partition]
    middle = of_partition[len(of_partition) // 2]
    after = [event for event in of_partition if event["sequence"] > middle["sequence"]]
    for start in (middle["offset"], middle["sequence"]):
        for inclusive, expected in [(False, after), (True, [middle, *after])]:
            read = either_client.ask("read", count=len(expected), start=start, inclusive=inclusive, partition=partition)
            assert read == expected
    later = [event for event in of_partition if event["enqueued"] > middle["enqueued"]]
    read = either_client.ask("read", count=len(later), start={"time": middle["enqueued"]}, partition=partition)
    assert read == later


@pytest.mark.timeout(120)
def test_one_event_at_a_time_is_enough_of_a_prefetch(client: Client, all_events: Events) -> None:
    partition = all_events[0]["partition"]
    of_partition = [event for event in all_events if event["partition"] == partition][:20]
    assert client.ask("read", count=20, partition=partition, prefetch=1)[:20] == of_partition


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", WAYS)
def test_the_newest_events_are_those_that_come_after(way: str) -> None:
    with LocalHub(partitions=1) as hub:
        IoTHubRegistryManager(hub.connection_string).create_device_with_sas("d", KEY, KEY, "enabled")
        device = IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d"))
        device.send_message("early")
        client = Client(hub, way)
        client.begin("read", count=3, start="@latest")
        done = threading.Event()

        def send() -> None:
            # Nobody is told when the client has begun.
            while not done.is_set():
                device.send_message("late")

        sending = threading.Thread(target=send)
        sending.start()
        try:
            events = client.outcome()
        finally:
            done.set()
            sending.join()
            device.shutdown()
            client.close()
    assert {event["body"] for event in events} == {"late"}
    first = events[0]["sequence"]
    assert [event["sequence"] for event in events] == list(range(first, first + len(events)))


@pytest.mark.timeout(120)
def test_an_event_has_what_its_sender_and_the_hub_gave_it(all_events: Events, hub: LocalHub) -> None:
    (event,) = [event for event in all_events if event["body"] == "named"]
    system = event["system"]
    module = IoTHubRegistryManager(hub.connection_string).get_module("d0", "m")
    enqueued = round(event["enqueued"] * 1000)
    assert event["properties"] == {"a b": "c&d=é", "empty": ""}
    assert system == {
        "message-id": "mid",
        "correlation-id": "cid",
        "user-id": "uid",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "absolute-expiry-time": 1893553445000,
        "iothub-connection-device-id": "d0",
        "iothub-connection-module-id": "m",
        "iothub-connection-auth-method": (
            '{"scope":"module","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}'
        ),
        "iothub-connection-auth-generation-id": module.generation_id,
        "iothub-enqueuedtime": enqueued,
        "iothub-message-source": "Telemetry",
        "x-opt-sequence-number": event["sequence"],
        "x-opt-offset": event["offset"],
        "x-opt-enqueued-time": enqueued,
        "x-opt-partition-key": "d0",
    }


@pytest.mark.timeout(120)
def test_a_reader_may_be_told_of_the_end_of_its_partition(client: Client, all_events: Events) -> None:
    partition = all_events[0]["partition"]
    (state,) = [state for state in client.ask("properties")[1] if state["id"] == partition]
    count = state["last_enqueued_sequence_number"] + 1
    last = client.ask("read", count=count, partition=partition, track_last_enqueued_event_properties=True)[-1]["last"]
    assert last["sequence_number"] == str(state["last_enqueued_sequence_number"])
    assert last["offset"] == state["last_enqueued_offset"]


@pytest.mark.timeout(120)
def test_consumer_groups_are_those_of_the_hub(client: Client) -> None:
    assert len(client.ask("read", count=EACH, group="OTHER")) >= EACH
    refused = client.ask("read", count=1, group="unknown")
    assert refused["error"] == "ConnectionLostError"
    assert "There is no consumer group 'unknown'" in refused["text"]


@pytest.mark.timeout(120)
def test_a_position_behind_the_end_is_refused(client: Client) -> None:
    refused = client.ask("read", count=1, start=10**6, partition="0")
    assert refused["error"] == "ConnectError"
    assert "The supplied sequence number '1000000' is invalid" in refused["text"]


@pytest.mark.timeout(120)
def test_only_policies_of_back_ends_may_read(client: Client, hub: LocalHub) -> None:
    def connection_string(policy: str, key: str) -> str:
        endpoint, _, _, entity = hub.event_hubs_connection_string.split(";")
        return f"{endpoint};SharedAccessKeyName={policy};SharedAccessKey={key};{entity}"

    def key(policy: str) -> str:
        return hub.policy_connection_string(policy).rpartition("SharedAccessKey=")[2]

    read = client.ask("read", count=1, connection_string=connection_string("service", key("service")))
    assert len(read) >= 1
    for policy, given in [("registryRead", key("registryRead")), ("iothubowner", KEY)]:
        refused = client.ask("read", count=1, connection_string=connection_string(policy, given))
        assert refused["error"] in ("AuthenticationError", "ConnectionLostError")
        assert "nauthorized" in refused["text"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("level", [1, 2])
def test_an_owner_takes_a_partition_from_the_last(
    client: Client, all_events: Events, hub: LocalHub, level: int
) -> None:
    partition = all_events[0]["partition"]
    first = Client(hub, "sync tcp")
    try:
        first.begin("read", count=10**6, partition=partition, owner_level=1, tells_begin=True)
        assert first.outcome() == "reading"
        refused = client.ask("read", count=1, partition=partition)
        assert refused["error"] == "ConnectionLostError"
        assert "an owner of level 1" in refused["text"]
        assert len(client.ask("read", count=1, partition=partition, owner_level=level)) >= 1
        taken = first.outcome()
        assert taken["error"] == "ConnectionLostError"
        assert f"owner level {level}" in taken["text"]
    finally:
        first.close()
