"""Every call ends at its time: its own, that of the client, or the usual one."""

from __future__ import annotations

import inspect
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Callable

import pytest
from azure.iot.device import MethodResponse
from azure.iot.device.exceptions import OperationTimeout
from ferrohub.device.auth.sastoken import RenewableSasToken
from ferrohub.device.auth.signing_mechanism import SymmetricKeySigningMechanism
from ferrohub.device.base import Usual
from sorts_of_clients import SECONDS, Sort

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferrohub import LocalHub

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TIME, SLACK = 0.2, 2.0
"""How long calls may take here, and how much longer on a slow machine."""

CALLS: dict[str, Callable[..., Any]] = {
    "send_message": lambda client, **time: client.send_message("x", **time),
    "get_twin": lambda client, **time: client.get_twin(**time),
    "patch_twin_reported_properties": lambda client, **time: client.patch_twin_reported_properties({"a": 1}, **time),
    "send_method_response": lambda client, **time: client.send_method_response(MethodResponse("1", 200), **time),
}
RECEIVES: dict[str, Callable[..., Any]] = {
    "receive_message": lambda client, **time: (
        client.receive_message_on_input("i", **time)
        if hasattr(client, "receive_message_on_input")
        else client.receive_message(**time)
    ),
    "receive_method_request": lambda client, **time: client.receive_method_request(**time),
    "receive_twin_desired_properties_patch": lambda client, **time: client.receive_twin_desired_properties_patch(
        **time
    ),
}
WAIT_FOR_WHAT_COMES = {"desired_properties_patches", "method_requests", "messages"}


def make(sort: Sort, **arguments: Any) -> Any:
    return sort.cls.create_from_connection_string(sort.connection_string, **arguments)


def token(sort: Sort) -> str:
    resource = f"{sort.back.host_name}/devices/{sort.path}"
    return str(RenewableSasToken(resource, SymmetricKeySigningMechanism(sort.key)))


@pytest.fixture
def connected(sort: Sort) -> Iterator[Any]:
    client = make(sort)
    sort.run(client.connect())
    yield client
    sort.run(client.shutdown())


def ends_in_time(sort: Sort, call: Callable[[], Any], text: str) -> None:
    begin = time.monotonic()
    with pytest.raises(OperationTimeout, match=text):
        sort.run(call())
    assert TIME <= time.monotonic() - begin < TIME + SLACK


@pytest.mark.parametrize("name", CALLS)
def test_a_call_ends_at_its_time(sort: Sort, connected: Any, hub: LocalHub, name: str) -> None:
    with hub.faults.freeze():
        ends_in_time(sort, lambda: CALLS[name](connected, timeout=TIME), r"\((never sent|sent, not acknowledged)\)")


def test_many_messages_end_at_their_time_each_with_its_outcome(sort: Sort, connected: Any, hub: LocalHub) -> None:
    with hub.faults.withhold_pubacks():
        outcomes = sort.run(connected.send_messages(["x"] * 100, timeout=TIME))
    texts = [str(outcome).rpartition(" (")[2] for outcome in outcomes]
    assert set(map(type, outcomes)) == {OperationTimeout}
    assert texts == ["sent, not acknowledged)"] * 64 + ["never sent)"] * 36


@pytest.mark.parametrize("name", RECEIVES)
def test_a_receive_gives_nothing_after_its_time(sort: Sort, connected: Any, hub: LocalHub, name: str) -> None:
    assert sort.run(RECEIVES[name](connected, timeout=0.01)) is None
    with hub.faults.freeze():
        assert sort.run(RECEIVES[name](connected, timeout=TIME)) is None


def test_connect_ends_at_its_time_and_no_connection_comes_later(sort: Sort, hub: LocalHub) -> None:
    client = make(sort)
    with hub.faults.freeze():
        ends_in_time(sort, lambda: client.connect(timeout=TIME), "Transport timeout on connection operation: ")
    before = hub.statistics()
    sort.run(client.shutdown())
    assert not client.connected
    assert hub.statistics() == before


def test_update_sastoken_ends_at_its_time(sort: Sort, hub: LocalHub) -> None:
    client = sort.cls.create_from_sastoken(token(sort))
    with hub.faults.freeze():
        text = "Transport timeout on connection operation: "
        ends_in_time(sort, lambda: client.update_sastoken(token(sort), timeout=TIME), text)
    sort.run(client.connect())
    sort.run(client.shutdown(timeout=SECONDS))


@pytest.mark.parametrize("name", CALLS)
def test_operation_timeout_is_the_time_of_a_call_that_is_not_given_one(sort: Sort, hub: LocalHub, name: str) -> None:
    client = make(sort, operation_timeout=TIME)
    with hub.faults.freeze():
        ends_in_time(sort, client.connect, "Transport timeout on connection operation: ")
        ends_in_time(sort, lambda: CALLS[name](client), r"\(never sent\)")
    sort.run(CALLS[name](client, timeout=SECONDS))
    sort.run(client.shutdown())


def test_operation_timeout_holds_for_setting_a_handler_and_for_the_subscription_of_a_receive(
    sort: Sort, hub: LocalHub
) -> None:
    client, other = make(sort, operation_timeout=TIME), make(sort, operation_timeout=TIME)
    with hub.faults.freeze():
        begin = time.monotonic()
        with pytest.raises(OperationTimeout):
            client.on_method_request_received = print
        assert TIME <= time.monotonic() - begin < TIME + SLACK
        ends_in_time(sort, other.receive_method_request, r"\(never sent\)")


def test_a_call_with_no_time_waits_without_end(sort: Sort, hub: LocalHub) -> None:
    client = make(sort, operation_timeout=TIME)
    with ThreadPoolExecutor(1) as thread:
        with hub.faults.freeze():
            call = thread.submit(lambda: sort.run(client.get_twin(timeout=None)))
            with pytest.raises(FutureTimeoutError):
                call.result(3 * TIME)
        assert call.result(SECONDS)["desired"]["$version"] == 1
    sort.run(client.shutdown())


def test_every_call_that_waits_for_the_hub_takes_a_time_and_has_a_usual_one(sort: Sort) -> None:
    methods = inspect.getmembers(sort.cls, inspect.isfunction)
    public = {name: method for name, method in methods if not name.startswith("_")}
    for name in WAIT_FOR_WHAT_COMES:
        assert "timeout" not in inspect.signature(public.pop(name)).parameters
    for name, method in public.items():
        usual = inspect.signature(method).parameters["timeout"].default
        if name.startswith("receive_"):
            assert usual is None, name
        else:
            assert isinstance(usual, Usual), name
            assert 0 < usual <= 120, name
    assert len(public) >= 12


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ("5", TypeError, "Invalid type for 'operation_timeout'. Must be a numeric value, or None."),
        (True, TypeError, "Invalid type for 'operation_timeout'. Must be a numeric value, or None."),
        (0, ValueError, "'operation_timeout' must be greater than 0; None means the usual times"),
        (-1.5, ValueError, "'operation_timeout' must be greater than 0; None means the usual times"),
        (float("nan"), ValueError, "'operation_timeout' must be greater than 0; None means the usual times"),
        (float("inf"), ValueError, "'operation_timeout' cannot exceed 9223372036.0 seconds"),
    ],
)
def test_an_operation_timeout_that_can_not_be_used_is_refused(
    sort: Sort, value: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        make(sort, operation_timeout=value)
    assert str(caught.value) == text
