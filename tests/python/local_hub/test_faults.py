"""`LocalHub.faults`: each fault as a device's program meets it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.device.exceptions import ConnectionFailedError, CredentialError
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, PATCH_TOPIC

HERE_AND_ELSEWHERE = pytest.mark.parametrize("process", [False, True], ids=["threads", "process"])


@pytest.fixture
def client(hub: LocalHub) -> IoTHubDeviceClient:
    return device(hub, connection_retry=False)


def device(hub: LocalHub, **options: object) -> IoTHubDeviceClient:
    IoTHubRegistryManager(hub.connection_string).create_device_with_sas(DEVICE, "", "", "enabled")
    return IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(DEVICE), **options)


@HERE_AND_ELSEWHERE
def test_connects_are_refused_until_the_fault_is_cleared(process: bool) -> None:
    with LocalHub(process=process) as hub:
        client = device(hub, connection_retry=False)
        with hub.faults.refuse_connects(DEVICE), pytest.raises(ConnectionFailedError):
            client.connect()
        fault = hub.faults.refuse_connects(code=5)
        with pytest.raises(CredentialError):
            client.connect()
        fault.clear()
        fault.clear()
        hub.faults.refuse_connects(DEVICE, MODULE)
        client.connect()
        client.shutdown()


def test_rejected_tokens_are_bad_credentials(hub: LocalHub, client: IoTHubDeviceClient) -> None:
    hub.faults.reject_tokens(DEVICE)
    with pytest.raises(CredentialError):
        client.connect()
    hub.faults.clear()
    client.connect()
    client.shutdown()


def test_a_message_that_is_not_acknowledged_arrives_all_the_same(hub: LocalHub) -> None:
    client = device(hub)
    client.connect()
    with ThreadPoolExecutor(1) as pool:
        with hub.faults.withhold_pubacks(DEVICE):
            sending = pool.submit(client.send_message, "x")
            assert next(hub.events(timeout=30)).body == b"x"
            assert not sending.done()
        # Dropped, the client sends it again, and hears of it.
        hub.faults.drop(DEVICE)
        sending.result(30)
    assert [event.body for event in hub.events(timeout=0)] == [b"x", b"x"]
    client.shutdown()


def test_acknowledgements_that_come_late_or_twice_do_no_harm(hub: LocalHub) -> None:
    client = device(hub)
    with hub.faults.delay_pubacks(0.05), hub.faults.duplicate_pubacks(DEVICE, MODULE):
        client.send_message("late")
    with hub.faults.duplicate_pubacks():
        client.send_message("twice")
    client.send_message("once")
    client.shutdown()
    assert [event.body for event in hub.events(timeout=0)] == [b"late", b"twice", b"once"]


def test_a_frozen_hub_goes_on_after_the_thaw(hub: LocalHub) -> None:
    client = device(hub)
    client.connect()
    with ThreadPoolExecutor(1) as pool:
        with hub.faults.freeze(DEVICE):
            sending = pool.submit(client.send_message, "x")
            assert list(hub.events(timeout=0.1)) == []
        sending.result(30)
    assert [event.body for event in hub.events(timeout=0)] == [b"x"]
    client.shutdown()


def test_after_a_lost_session_the_client_subscribes_again(hub: LocalHub) -> None:
    client = device(hub)
    client.on_twin_desired_properties_patch_received = lambda _: None
    hub.wait_subscribed(DEVICE, None, PATCH_TOPIC)
    connects = hub.statistics()["connects"]
    hub.faults.lose_session(DEVICE)
    hub.wait_subscribed(DEVICE, None, PATCH_TOPIC)
    assert hub.statistics()["connects"] == connects + 1
    client.shutdown()


def test_tokens_expire_by_the_hubs_clock(hub: LocalHub, client: IoTHubDeviceClient) -> None:
    hub.faults.move_clock(7200)
    with pytest.raises(CredentialError):
        client.connect()
    hub.faults.move_clock(-7200)
    client.connect()
    client.shutdown()


@HERE_AND_ELSEWHERE
def test_what_can_not_be_ordered_is_refused(process: bool) -> None:
    with LocalHub(process=process) as hub:
        for code in (0, 6):
            with pytest.raises(ValueError, match="1 to 5"):
                hub.faults.refuse_connects(code=code)
        with pytest.raises(ValueError, match="not negative"):
            hub.faults.delay_pubacks(-1)
        with pytest.raises(ValueError, match="JSON"):
            hub.faults.move_clock(float("nan"))
        with pytest.raises(ValueError, match="clock"):
            hub.faults.move_clock(1e300)
        for name in ("", None):
            with pytest.raises(ValueError, match="name the device"):
                hub.faults.drop(name, MODULE)
        with pytest.raises(ValueError, match="name the device"):
            hub.faults.freeze("")
        with pytest.raises(LookupError, match="no identity nobody"):
            hub.faults.lose_session("nobody")
