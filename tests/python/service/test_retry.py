"""When a call is tried again: the official package's rules, throttling, a program's own policy; see docs/service.md."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ferrohub.service import (
    ClientRequestError,
    HttpOperationError,
    IoTHubRegistryManager,
    RetriesExhaustedError,
    RetryPolicy,
)
from ferrohub.service.models import Twin
from recording_hub import JSON, Answer, Recorded, RecordingHub

AT_ONCE = (*JSON, ("Retry-After", "0"))
BUSY = Answer(503, "Service Unavailable", b'{"Message":"ErrorCode:ServiceUnavailable;Busy"}')


def test_methods_that_may_have_had_an_effect_are_not_repeated(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    body = b'{"Message":"ErrorCode:ServerError;An internal error occurred."}'
    recorder.answers = Answer(500, "Internal Server Error", body)
    with pytest.raises(HttpOperationError) as caught:
        manager.update_twin("d", Twin())
    assert str(caught.value).endswith("'Internal Server Error': ServerError: An internal error occurred.")
    assert not isinstance(caught.value, ClientRequestError)
    recorder.answers = Answer(None)
    with pytest.raises(ClientRequestError, match=r"ConnectionError: localhost:\d+ closed the connection before"):
        manager.update_twin("d", Twin())
    assert len(recorder.requests) == 2


def test_a_failing_hub_is_asked_four_times_in_five_seconds(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    recorder.answers = BUSY
    start = time.monotonic()
    with pytest.raises(RetriesExhaustedError) as caught:
        manager.get_device("d")
    assert time.monotonic() - start >= 4.7
    assert len(recorder.requests) == 4
    # Programs know it as a ClientRequestError; ours is an HttpOperationError too, with the last answer.
    assert isinstance(caught.value, ClientRequestError)
    assert caught.value.response.status_code == 503
    assert str(caught.value) == (
        f"Error occurred in request., RetryError: localhost:{recorder.port} answered 503"
        " 'Service Unavailable' to 4 attempts: ServiceUnavailable: Busy"
    )


def test_a_hub_that_recovers_is_not_noticed(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    def answers(_request: Recorded) -> Answer:
        if len(recorder.requests) == 1:
            return Answer(503, "Service Unavailable", headers=AT_ONCE)
        return Answer(body=b'{"deviceId": "d"}')

    recorder.answers = answers
    assert manager.get_device("d").device_id == "d"
    assert len(recorder.requests) == 2


def test_throttled_calls_are_repeated_after_the_time_the_hub_asks_for(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    body = b'{"Message":"ErrorCode:ThrottlingException;Slow down"}'
    recorder.answers = Answer(429, "Too Many Requests", body, AT_ONCE)
    with pytest.raises(HttpOperationError, match="'Too Many Requests': ThrottlingException: Slow down") as caught:
        manager.update_twin("d", Twin())
    assert not isinstance(caught.value, ClientRequestError)
    assert len(recorder.requests) == 4


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_a_program_says_how_often_a_call_is_tried(attempts: int, recorder: RecordingHub) -> None:
    recorder.answers = BUSY
    retry = RetryPolicy(attempts, backoff=0.01)
    manager = IoTHubRegistryManager.from_connection_string(recorder.connection_string(), retry=retry)
    with pytest.raises(HttpOperationError) as caught:
        manager.get_device("d")
    assert isinstance(caught.value, RetriesExhaustedError) is (attempts > 1)
    assert len(recorder.requests) == attempts
    manager.protocol.config.retry_policy.retries = 2
    with pytest.raises(HttpOperationError):
        manager.get_device("d")
    assert len(recorder.requests) == attempts + 3


@pytest.mark.alone
def test_no_call_takes_longer_than_its_time(recorder: RecordingHub) -> None:
    recorder.answers = BUSY
    manager = IoTHubRegistryManager(recorder.connection_string(), retry=RetryPolicy(attempts=1000), timeout=1)
    start = time.monotonic()
    with pytest.raises(RetriesExhaustedError):
        manager.get_device("d")
    # The third attempt would be 1.6 s after the second.
    assert (len(recorder.requests), manager.protocol.config.connection.timeout) == (2, 1)
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"backoff": -1.0}, {"backoff": float("nan")}, {"longest_pause": float("inf")}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: Any) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**wrong)


def test_a_policy_shows_what_it_is() -> None:
    policy = RetryPolicy(2, 0.5)
    assert repr(policy) == "RetryPolicy(attempts=2, backoff=0.5, longest_pause=120.0)"
    assert policy == RetryPolicy(2, 0.5)
    assert hash(policy) == hash(RetryPolicy(2, 0.5))
    assert policy != RetryPolicy(2)
