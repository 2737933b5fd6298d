"""Holds what a service client sends and gives against what was recorded from the official package.

Not compared: user agent, Accept-Encoding, the order of headers, and the Authorization header. Deliberate differences:

- an error's text is the sentence, not the repr of (sentence, cause), and adds the hub's own message to it;
- a row or answer that is no object is named with its model, where the official text names a missing attribute;
- `query_scheduled_jobs` takes the array that IoT Hub answers with (`DIFFERENT`);
- `query_iot_hub` gives its own class of result, as officially, with a repr that shows no more than its address.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from recording_hub import Recorded, RecordingHub

GOLDEN = Path(__file__).parent.parent / "golden"
NOT_COMPARED = ("user-agent", "accept-encoding", "authorization")


def golden(name: str) -> Any:
    """A file of facts recorded from the official package."""
    return json.loads((GOLDEN / name).read_text("utf-8"))


# IoT Hub lists jobs in an array, which the official package can't read: with it the call never works.
NO_JOBS = {
    "return": "QueryResult",
    "str": "{'additional_properties': {}, 'type': None, 'items': [], 'continuation_token': None}",
}
DIFFERENT = {"query_scheduled_jobs None": NO_JOBS, "query_scheduled_jobs list body": NO_JOBS}


def official_calls() -> dict[str, Any]:
    """What the official package asked and gave, by the name of the call; what ours gives where that differs."""
    rows = golden("golden_all_methods.json")
    return {row["call"]: {**row, "result": DIFFERENT.get(row["call"], row["result"])} for row in rows}


def headers(headers: dict[str, str]) -> dict[str, str]:
    """What of the headers is compared, under lower-case names."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lower.items() if name not in NOT_COMPARED}


def assert_official_requests(recorder: RecordingHub, official: dict[str, Any]) -> None:
    assert len(recorder.requests) == len(official["requests"])
    for request, expected in zip(recorder.requests, official["requests"]):
        _assert_official_request(request, expected)


def _assert_official_request(request: Recorded, official: dict[str, Any]) -> None:
    assert request.line == official["line"]
    sent = headers(request.headers)
    assert sent.get("content-length") == official["content_length"]
    for always in ("host", "connection", "content-length"):
        sent.pop(always, None)
    assert sent == official["headers"]
    assert request.body.decode() == official["body"]


def assert_official_result(value: Any, official: dict[str, Any]) -> None:
    assert type(value).__name__ == official["return"]
    shown, wanted = (re.sub(" at 0x[0-9a-f]+", "", text) for text in (str(value), official["str"]))
    if official["return"] == "QueryResult" and wanted.startswith("<"):
        assert vars(value).keys() == {"type", "items", "continuation_token"}
        return
    # The recorder cut long texts.
    assert shown.startswith(wanted.removesuffix('"}')) if wanted.endswith('Non"}') else shown.startswith(wanted)


def assert_official_error(error: BaseException, official: dict[str, Any]) -> None:
    names = [f"{cls.__module__}.{cls.__name__}" for cls in type(error).__mro__]
    short = official["raise"].rpartition(".")[2]
    assert short in [name.rpartition(".")[2] for name in names]
    no_object = "object has no attribute 'get'" in official["str"]
    assert ("expected an object, not" if no_object else str(error)) in (str(error) if no_object else official["str"])
