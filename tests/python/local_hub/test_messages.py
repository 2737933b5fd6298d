"""What `LocalHub` and the command send to devices and modules, and what they tell of what those send."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from azure.iot.device import IoTHubDeviceClient, Message
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, run

COMMAND = (sys.executable, "-m", "ferrohub")
HERE_AND_ELSEWHERE = pytest.mark.parametrize("process", [False, True], ids=["threads", "process"])


def create(hub: LocalHub) -> IoTHubRegistryManager:
    registry = IoTHubRegistryManager(hub.connection_string)
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
    return registry


def device(hub: LocalHub) -> IoTHubDeviceClient:
    return IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(DEVICE))


@HERE_AND_ELSEWHERE
def test_messages_to_devices_and_inputs_are_queued_and_counted(process: bool) -> None:
    with LocalHub(process=process) as hub:
        registry = create(hub)
        hub.send_c2d_message(DEVICE, "text", {"$.mid": "1", "a": "b"})
        hub.send_c2d_message(DEVICE, b"\x00")
        hub.send_input_message(DEVICE, MODULE, "in", b"", properties={"a": "b"})
        assert registry.get_device(DEVICE).cloud_to_device_message_count == 2
        assert registry.get_module(DEVICE, MODULE).cloud_to_device_message_count == 1


@HERE_AND_ELSEWHERE
def test_what_can_not_be_queued_is_the_right_exception(process: bool) -> None:
    with LocalHub(process=process) as hub:
        create(hub)
        with pytest.raises(LookupError, match="no identity nobody: create it first"):
            hub.send_c2d_message("nobody", "x")
        with pytest.raises(LookupError, match=f"no identity {DEVICE}/nobody"):
            hub.send_input_message(DEVICE, "nobody", "in", "x")
        with pytest.raises(ValueError, match="65536"):
            hub.send_c2d_message(DEVICE, bytes(1 << 17))
        with pytest.raises(ValueError, match="surrogates"):
            hub.send_c2d_message(DEVICE, "x", {"half": "\ud800"})
        with pytest.raises(ValueError, match="the input's name"):
            hub.send_input_message(DEVICE, MODULE, "", "x")
        with pytest.raises(OSError, match="has to be within two days"):
            hub.send_c2d_message(DEVICE, "x", {"$.exp": "2020-01-01T00:00:00Z"})
        in_time = datetime.now(timezone.utc) + timedelta(hours=1)
        for _ in range(50):
            hub.send_c2d_message(DEVICE, "x", {"$.exp": in_time.isoformat()})
        with pytest.raises(OSError, match="Queue depth cannot exceed 50 messages"):
            hub.send_c2d_message(DEVICE, "x")


@pytest.mark.parametrize("way", [(), ("--websocket",)], ids=["TCP", "WebSocket"])
def test_the_command_sends_a_message_with_everything(hub: LocalHub, way: tuple[str, ...]) -> None:
    create(hub)
    client = device(hub)
    client.connect()
    ids = ("--message-id", "42", "--correlation-id", "c", "--content-type", "text/plain", "--content-encoding", "utf-8")
    more = ("--property", "a=b", "é=1=2", "--property", "empty=", "--ack", "full", "--expiry", "60")
    sent = run(*COMMAND, "c2d", "send", DEVICE, "größer", *ids, *more, *way, "--hub", hub.connection_string)
    assert (sent.code, sent.out, sent.err) == (0, "", "")
    message = next(iter(client.messages()))
    assert (message.data.decode(), message.custom_properties) == ("größer", {"a": "b", "é": "1=2", "empty": ""})
    system = (message.message_id, message.correlation_id, message.content_type, message.content_encoding, message.ack)
    assert system == ("42", "c", "text/plain", "utf-8", "full")
    left = datetime.fromisoformat(message.expiry_time_utc.replace("Z", "+00:00")) - datetime.now(timezone.utc)
    assert timedelta(0) < left < timedelta(seconds=61)
    client.shutdown()


def test_the_command_says_why_a_message_was_not_sent(hub: LocalHub) -> None:
    create(hub)
    send = (*COMMAND, "c2d", "send")
    ask = ("--hub", hub.connection_string)
    for arguments, code, text in [
        (("nobody", "hello"), 1, "ferrohub: the hub has no identity nobody: create it first\n"),
        ((DEVICE, "hello", "--expiry", "0"), 1, "ferrohub: C2D message send failure: "),
        ((DEVICE, "hello", "--expiry", "1000000"), 1, "ferrohub: C2D message send failure: "),
        ((DEVICE, "x" * 70_000), 1, "ferrohub: C2D message send failure: "),
        ((DEVICE, "hello", "--property", "nothing"), 2, "error: invalid value 'nothing'"),
        ((DEVICE, "hello", "--ack", "maybe"), 2, "error: invalid value 'maybe'"),
    ]:
        sent = run(*send, *arguments, *ask)
        assert (sent.code, sent.out) == (code, "")
        assert sent.err.startswith(text), sent.err
    sent = run(*send, DEVICE, "hello", "--hub", hub.connection_string[:-5] + "AAAA=")
    assert sent.code == 1
    assert sent.err.startswith("ferrohub: CBS Token authentication failed")


@HERE_AND_ELSEWHERE
def test_events_come_in_order_from_the_first_and_as_they_are_sent(process: bool) -> None:
    with LocalHub(process=process) as hub:
        create(hub)
        client = device(hub)
        message = Message("first")
        message.custom_properties["a"] = "b"
        message.message_id = "m"
        client.send_message(message)
        events = hub.events(timeout=30)
        first = next(events)
        assert (first.device_id, first.module_id, first.body) == (DEVICE, None, b"first")
        assert first.properties == {"$.mid": "m", "a": "b"}
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(next, events)
            client.send_message("second")
            assert second.result(30).body == b"second"
        client.shutdown()
        assert [event.body for event in hub.events(timeout=0)] == [b"first", b"second"]


@HERE_AND_ELSEWHERE
def test_events_end_when_the_hub_is_stopped(process: bool) -> None:
    with LocalHub(process=process) as hub:
        create(hub)
        client = device(hub)
        client.send_message("only")
        client.shutdown()
        seen: list[bytes] = []
        came = threading.Event()

        def follow() -> None:
            for event in hub.events():
                seen.append(event.body)
                came.set()

        following = threading.Thread(target=follow)
        following.start()
        assert came.wait(30)
        hub.stop()
        following.join(30)
        assert not following.is_alive()
        assert seen == [b"only"]


def test_messages_that_were_forgotten_unread_are_told() -> None:
    with LocalHub(limits={"event_megabytes": 10}) as hub:
        create(hub)
        client = device(hub)
        client.send_message("first")
        events = hub.events(timeout=0)
        assert next(events).body == b"first"
        for _ in range(70):
            client.send_message(bytes(250_000))
        client.shutdown()
        with pytest.raises(RuntimeError, match="the hub has forgotten them"):
            next(events)
        assert len(list(events)) == len(hub.telemetry()) < 70
