"""Many devices at once: every row of a query, and changes of any number of identities with one result for each.

Each test is made with both kinds of managers.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from typing import Any, Callable

import pytest
from azure.iot import hub as synchronous
from azure.iot.hub import aio
from azure.iot.hub.models import ExportImportDevice, Twin
from ferrohub.service import HttpOperationError, RetryPolicy
from recording_hub import JSON, Answer, Recorded, RecordingHub

Run = Callable[[Callable[[Any], Any]], Any]
OK = Answer(body=b'{"isSuccessful": true, "errors": [], "warnings": []}')
LOST = Answer(None)
BUSY = Answer(503, "Service Unavailable")
HTML = Answer(body=b"<html>Sign in</html>", headers=(("Content-Type", "text/html"),))
QUOTA = Answer(403, "Forbidden", b'{"Message":"ErrorCode:IotHubQuotaExceeded;Quota exceeded"}')
THROTTLED = Answer(429, "Too Many Requests", headers=(*JSON, ("Retry-After", "0")))


@pytest.fixture(params=["blocking", "aio"])
def run(request: pytest.FixtureRequest, recorder: RecordingHub) -> Run:
    """Calls a function with a manager; gives what it returns, a list if it can be iterated over."""
    sdk: Any = synchronous if request.param == "blocking" else aio
    manager = sdk.IoTHubRegistryManager(recorder.connection_string(), retry=RetryPolicy(backoff=0.01))

    async def awaited(call: Callable[[Any], Any]) -> Any:
        made = call(manager)
        return [row async for row in made] if hasattr(made, "__aiter__") else await made

    def run(call: Callable[[Any], Any]) -> Any:
        if sdk is aio:
            return asyncio.run(awaited(call))
        made = call(manager)
        return list(made) if inspect.isgenerator(made) else made

    return run


def page(rows: list[Any], kind: str, more: str | None) -> Answer:
    tokens = () if more is None else (("x-ms-continuation", more),)
    return Answer(body=json.dumps(rows).encode(), headers=(*JSON, ("x-ms-item-type", kind), *tokens))


def sent(request: Recorded, name: str) -> str | None:
    return {key.lower(): value for key, value in request.headers.items()}.get(name)


# --- queries ---


def test_a_query_gives_the_rows_of_all_its_pages(run: Run, recorder: RecordingHub) -> None:
    pages = {
        None: page([{"deviceId": "a"}, {"deviceId": "b"}], "Twin", "1"),
        "1": page([], "Twin", "2"),
        "2": page([{"deviceId": "c"}], "Twin", None),
    }
    recorder.answers = lambda request: pages[sent(request, "x-ms-continuation")]
    rows = run(lambda manager: manager.query("SELECT * FROM devices", page_size=2))
    assert [(type(row), row.device_id) for row in rows] == [(Twin, "a"), (Twin, "b"), (Twin, "c")]
    assert [sent(request, "x-ms-max-item-count") for request in recorder.requests] == ["2"] * 3
    assert {request.body for request in recorder.requests} == {b'{"query": "SELECT * FROM devices"}'}


@pytest.mark.parametrize("rows", [[5, "x", None], [{"site": "north", "number": 3}]])
def test_rows_that_are_no_twins_come_as_they_are(rows: list[Any], run: Run, recorder: RecordingHub) -> None:
    recorder.answers = page(rows, "Raw", None)
    assert run(lambda manager: manager.query({"query": "SELECT x FROM devices"})) == rows


def test_all_devices_are_a_query(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = page([{"deviceId": "a"}], "Twin", None)
    assert [twin.device_id for twin in run(lambda manager: manager.devices())] == ["a"]
    assert recorder.requests[0].body == b'{"query": "SELECT * FROM devices"}'
    assert sent(recorder.requests[0], "x-ms-max-item-count") == "1000"


def test_a_page_is_read_when_its_rows_are_wanted(recorder: RecordingHub) -> None:
    recorder.answers = page([{"deviceId": "a"}], "Twin", "more")
    twins = synchronous.IoTHubRegistryManager(recorder.connection_string()).devices()
    assert recorder.requests == []
    next(twins)
    assert len(recorder.requests) == 1
    next(twins)
    assert len(recorder.requests) == 2


def test_a_query_that_is_refused_raises(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = Answer(400, "Bad Request", b'{"Message":"ErrorCode:ArgumentInvalid;BadRequest"}')
    with pytest.raises(HttpOperationError, match="ArgumentInvalid: BadRequest"):
        run(lambda manager: manager.query("SELECT nonsense"))


@pytest.mark.parametrize("failure", [THROTTLED, LOST, BUSY], ids=["throttled", "lost", "busy"])
def test_a_page_whose_answer_does_not_come_is_asked_for_again(
    failure: Answer, run: Run, recorder: RecordingHub
) -> None:
    last = page([{"deviceId": "a"}], "Twin", None)
    recorder.answers = lambda _request: failure if len(recorder.requests) < 3 else last
    assert [twin.device_id for twin in run(lambda manager: manager.devices())] == ["a"]
    assert len(recorder.requests) == 3


# --- bulk ---


def names(request: Recorded) -> list[str]:
    return [change["id"] for change in json.loads(request.body)]


def test_changes_are_cut_into_requests_of_a_hundred(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = OK
    told: list[tuple[int, int | None]] = []
    changes = [ExportImportDevice(id=f"d{number}", import_mode="create") for number in range(250)]
    results = run(lambda manager: manager.bulk(changes, progress=lambda *done: told.append(done)))
    assert sorted(len(names(request)) for request in recorder.requests) == [50, 100, 100]
    assert sorted(name for request in recorder.requests for name in names(request)) == sorted(
        f"d{number}" for number in range(250)
    )
    assert [(result.device_id, result.succeeded) for result in results] == [(f"d{n}", True) for n in range(250)]
    assert [done for done, _ in told] in ([100, 200, 250], [50, 150, 250], [100, 150, 250])
    assert {total for _, total in told} == {250}


def test_any_iterable_is_taken_and_read_as_it_is_needed(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = OK
    made: list[int] = []
    seen: list[int] = []

    def changes() -> Any:
        for number in range(1000):
            made.append(number)
            yield {"id": f"d{number}", "importMode": "delete"}

    def progress(_done: int, total: int | None) -> None:
        assert total is None
        seen.append(len(made))

    results = run(lambda manager: manager.bulk(changes(), concurrency=2, progress=progress))
    assert len(results) == 1000
    assert seen[0] == 200


def test_so_many_requests_as_asked_for_are_on_their_way_at_once(run: Run, recorder: RecordingHub) -> None:
    lock, three = threading.Lock(), threading.Barrier(3)
    now, most = 0, 0

    def answers(_request: Recorded) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        three.wait(20)
        with lock:
            now -= 1
        return OK

    recorder.answers = answers
    results = run(lambda manager: manager.bulk([{"id": str(n)} for n in range(600)], concurrency=3))
    assert (len(results), len(recorder.requests), most) == (600, 6, 3)


def test_each_failure_is_told_of_its_device(run: Run, recorder: RecordingHub) -> None:
    answer = {
        "isSuccessful": False,
        "errors": [
            {"deviceId": "b", "errorCode": "DeviceAlreadyExists", "errorStatus": "it exists"},
            {"deviceId": "c", "moduleId": "m", "errorCode": "ModuleNotFound", "errorStatus": ""},
        ],
        "warnings": [{"deviceId": "a", "warningCode": "DeviceRegisteredWithoutTwin", "warningStatus": "no twin"}],
    }
    recorder.answers = Answer(400, "Bad Request", json.dumps(answer).encode())
    changes = [{"id": "a"}, {"id": "b"}, ExportImportDevice(id="c"), ExportImportDevice(id="c", module_id="m")]
    a, b, c, m = run(lambda manager: manager.bulk(changes))
    assert (a.succeeded, a.warning) == (True, "no twin")
    assert (b.succeeded, b.error, b.error_code) == (False, "it exists", "DeviceAlreadyExists")
    assert c.succeeded
    assert (m.device_id, m.module_id, m.error) == ("c", "m", "ModuleNotFound")
    assert [repr(result) for result in (a, b, m)] == ["<a: done>", "<b: it exists>", "<c/m: ModuleNotFound>"]


@pytest.mark.parametrize(
    ("body", "error", "code"),
    [
        (b'{"Message":"ErrorCode:DeviceDefinedMultipleTimes;twice"}', "twice", "DeviceDefinedMultipleTimes"),
        (b"{}", "the hub answered 400 'Bad Request'", None),
    ],
)
def test_a_request_that_is_refused_as_a_whole_fails_for_all_of_it(
    body: bytes, error: str, code: str | None, run: Run, recorder: RecordingHub
) -> None:
    refusing = Answer(400, "Bad Request", body)
    recorder.answers = lambda request: refusing if "x" in names(request) else OK
    results = run(lambda manager: manager.bulk([{"id": "x"}, *({"id": str(n)} for n in range(199))]))
    assert [(result.error, result.error_code) for result in results] == [(error, code)] * 100 + [(None, None)] * 100


def test_an_error_that_names_none_of_them_leaves_none_done(run: Run, recorder: RecordingHub) -> None:
    answer = {"isSuccessful": False, "errors": [{"errorCode": "ServerError", "errorStatus": "broken"}]}
    recorder.answers = Answer(400, "Bad Request", json.dumps(answer).encode())
    results = run(lambda manager: manager.bulk([{"id": "a"}, {"id": "b"}]))
    assert [result.error for result in results] == ["broken", "broken"]


def test_one_that_is_named_twice_has_failed_twice_if_it_has_failed(run: Run, recorder: RecordingHub) -> None:
    error = {"deviceId": "a", "errorCode": "DeviceDefinedMultipleTimes", "errorStatus": "twice"}
    recorder.answers = Answer(400, "Bad Request", json.dumps({"isSuccessful": False, "errors": [error]}).encode())
    results = run(lambda manager: manager.bulk([{"id": "a"}, {"id": "a"}, {"id": "b"}]))
    assert [result.error for result in results] == ["twice", "twice", None]


def test_a_failure_without_any_error_leaves_none_done(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = Answer(400, "Bad Request", b'{"isSuccessful":false,"errors":[]}')
    results = run(lambda manager: manager.bulk([{"id": "a"}, {"id": "b"}]))
    assert [result.error for result in results] == ["the hub says no more"] * 2


def test_throttled_requests_are_sent_until_they_are_taken(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = lambda _request: THROTTLED if len(recorder.requests) < 15 else OK
    (result,) = run(lambda manager: manager.bulk([{"id": "a"}]))
    assert (result.succeeded, len(recorder.requests)) == (True, 15)


def test_patience_with_a_hub_that_throttles_has_an_end(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = THROTTLED
    (result,) = run(lambda manager: manager.bulk([{"id": "a"}]))
    assert (result.succeeded, len(recorder.requests)) == (False, 40)
    assert "Too Many Requests" in str(result.error)


@pytest.mark.parametrize(
    ("answer", "error", "tried", "requests"),
    [
        (Answer(401, "Unauthorized", b'{"Message":"ErrorCode:IotHubUnauthorizedAccess;No"}'), "Unauthorized", 1, 1),
        (LOST, "closed the connection", 2, 8),
        (HTML, "text/html", 2, 2),
        (QUOTA, "Quota exceeded", 2, 2),
    ],
    ids=["refused", "lost", "a page", "quota"],
)
def test_nothing_more_is_sent_to_a_hub_that_refuses_the_caller_or_fails_twice_in_a_row(
    answer: Answer, error: str, tried: int, requests: int, run: Run, recorder: RecordingHub
) -> None:
    recorder.answers = answer
    results = run(lambda manager: manager.bulk([{"id": str(n)} for n in range(1000)], concurrency=1))
    assert len(recorder.requests) == requests
    assert {error in str(result.error) for result in results} == {True}
    sent = [False] * 100 * tried
    assert [str(result.error).startswith("not sent: ") for result in results] == sent + [True] * (1000 - len(sent))


@pytest.mark.parametrize(
    "failure", [LOST, BUSY, HTML, QUOTA, Answer(body=b"")], ids=["lost", "busy", "a page", "quota", "empty"]
)
def test_a_request_that_fails_for_good_fails_for_its_devices_and_not_for_others(
    failure: Answer, run: Run, recorder: RecordingHub
) -> None:
    recorder.answers = lambda request: failure if "100" in names(request) else OK
    results = run(lambda manager: manager.bulk([{"id": str(n)} for n in range(300)], concurrency=2))
    assert [result.succeeded for result in results] == [True] * 100 + [False] * 100 + [True] * 100


@pytest.mark.parametrize("failure", [LOST, BUSY], ids=["lost", "busy"])
def test_a_request_whose_answer_does_not_come_is_sent_again(failure: Answer, run: Run, recorder: RecordingHub) -> None:
    recorder.answers = lambda _request: failure if len(recorder.requests) < 4 else OK
    (result,) = run(lambda manager: manager.bulk([{"id": "a", "importMode": "update"}]))
    assert (result.succeeded, len(recorder.requests)) == (True, 4)


def test_failures_that_are_not_in_a_row_stop_nothing(run: Run, recorder: RecordingHub) -> None:
    recorder.answers = lambda request: HTML if int(names(request)[0]) % 200 else OK
    results = run(lambda manager: manager.bulk([{"id": str(n)} for n in range(1000)], concurrency=1))
    assert len(recorder.requests) == 10
    assert sum(result.succeeded for result in results) == 500


def test_what_is_no_change_is_refused_at_once(run: Run, recorder: RecordingHub) -> None:
    for wrong in (lambda manager: manager.bulk(["d"]), lambda manager: manager.bulk([{"id": "d"}], concurrency=0)):
        with pytest.raises(ValueError, match=r"concurrency|expected an object"):
            run(wrong)
    assert recorder.requests == []


def test_no_changes_are_no_requests(run: Run, recorder: RecordingHub) -> None:
    assert run(lambda manager: manager.bulk([])) == []
    assert recorder.requests == []
