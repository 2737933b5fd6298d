"""Every kind of answer, for every verb: the error or result that the official package gives (golden_errors.json).

The pauses between attempts are shortened here. Deliberate differences:

- the text goes on after the official sentence, with the hub's code, message and tracking id;
- 429 is asked again for every verb, also without `Retry-After` (`ATTEMPTS`); the error is the same;
- when a failing hub is given up, or too many redirections were followed, the text says so in other words (`TEXTS`), and
  the error is an `HttpOperationError` too where there is an answer;
- what can't be read is named with the model that it should be.
"""

from __future__ import annotations

from typing import Any, Callable

import pytest
from azure.iot.hub import IoTHubRegistryManager
from ferrohub.service import RetryPolicy
from ferrohub.service.models import QuerySpecification, Twin
from golden_requests import golden
from recording_hub import Answer, RecordingHub

GOLDEN: dict[str, dict[str, Any]] = golden("golden_errors.json")
VERBS: dict[str, Callable[[IoTHubRegistryManager], Any]] = {
    "GET": lambda manager: manager.get_device("myFirstDevice"),
    "PUT": lambda manager: manager.create_device_with_sas("d", "", "", "enabled"),
    "PATCH": lambda manager: manager.update_twin("d", Twin()),
    "POST": lambda manager: manager.query_iot_hub(QuerySpecification(query="q")),
    "DELETE": lambda manager: manager.delete_device("d"),
}
# Answers that the recorder of the official package did not write down, as no error holds them.
JSON_TYPE = ("Content-Type", "application/json; charset=utf-8")
UNRECORDED = {
    "500": Answer(500, "Internal Server Error"),
    "503": Answer(503, "Service Unavailable"),
    "408": Answer(408, "Request Timeout"),
    "302": Answer(302, "Found", b"", (("Location", "/devices/elsewhere?x=1"),)),
    "200 empty": Answer(body=b""),
    "200 empty no ct": Answer(body=b"", headers=()),
    "200 badjson": Answer(body=b"{not json"),
    "200 html": Answer(body=b"<html>", headers=(("Content-Type", "text/html"),)),
    "200 list": Answer(body=b"[]"),
    "200 null": Answer(body=b"null"),
    "200 str": Answer(body=b'"x"'),
    "200 no content-type": Answer(body=b'{"deviceId":"x"}', headers=()),
    "200 xml ct but json": Answer(body=b'{"deviceId":"x"}', headers=(("Content-Type", "application/xml"),)),
    "200 problem+json": Answer(body=b'{"deviceId":"x"}', headers=(("Content-Type", "application/problem+json"),)),
    "200 text/plain json": Answer(body=b'{"deviceId":"x"}', headers=(("Content-Type", "text/plain"),)),
    "200 BOM": Answer(body=b'\xef\xbb\xbf{"deviceId":"x"}'),
    "close conn": Answer(None),
}
# How often ours asks where the official package asks another number of times.
ATTEMPTS = {
    **{f"429{retry_after} {verb}": 4 for retry_after in ("", " retry-after 1") for verb in VERBS},
    "302 GET": 10,
}
# Where the sentence differs, how ours goes.
TEXTS = {
    "ClientRequestError RetryError": "Error occurred in request., RetryError: localhost",
    "ClientRequestError ConnectionError": "Error occurred in request., ConnectionError: localhost",
    "ClientRequestError TooManyRedirects": "Error occurred in request., ConnectionError: localhost",
    "DeserializationError object": "Unable to deserialize to object: Device, expected an object, not",
    "DeserializationError JSON": "JSON is invalid: Expecting property name enclosed in double quotes",
}
# What of the hub's own message our text holds besides.
MESSAGES = {
    "401 GET": "IotHubUnauthorizedAccess: Unauthorized (tracking id 987573ab94334e77a1cd0beb671a71c4-G:5-TimeStamp",
    "404 GET": "DeviceNotFound: myFirstDevice (tracking id",
    "404 module env2 GET": "ModuleNotFound: Module m on Device d in IotHub contoso-hub not registered",
    "409 GET": "DeviceAlreadyExists: A device with ID 'myFirstDevice' is already registered.",
    "412 GET": "PreconditionFailed: Precondition failed: Device version did not match, existingVersion:9574",
    "400 GET": "ArgumentInvalid: Invalid device id",
    "403 GET": "IotHubQuotaExceeded: Total number of messages on IotHub exceeded",
    "429 PATCH": "ThrottlingBacklogTimeout: The request has been throttled. Wait 10 seconds and try again.",
}


def _answer(name: str) -> Answer:
    """The answer that the official package got."""
    response = GOLDEN[name].get("resp")
    if response is None:
        return UNRECORDED[name.rpartition(" ")[0]]
    headers = [
        (key, value) for key, value in response["headers"].items() if key not in ("Content-Length", "Retry-After")
    ]
    throttled = [("Retry-After", "0")] if response["status_code"] == 429 else []
    return Answer(response["status_code"], response["reason"], response["text"].encode(), tuple(headers + throttled))


def _sentence(official: dict[str, Any]) -> str:
    """How the text begins."""
    kind, text = official["type"].rpartition(".")[2], official["str"]
    if kind == "ClientRequestError":
        return TEXTS[f"{kind} {text.partition(', ')[2].partition(':')[0]}"]
    if kind == "DeserializationError" and text.startswith("("):
        return TEXTS[f"{kind} {'JSON' if 'JSON' in text else 'object'}"]
    return str(text)


@pytest.mark.parametrize("name", GOLDEN)
def test_an_answer_is_the_error_or_result_that_programs_know(name: str, recorder: RecordingHub) -> None:
    official = GOLDEN[name]
    recorder.answers = _answer(name)
    manager = IoTHubRegistryManager(recorder.connection_string(), retry=RetryPolicy(backoff=0.01))
    call = VERBS[name.rpartition(" ")[2]]
    if "type" in official:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared by name
            call(manager)
        names = [f"{cls.__module__}.{cls.__name__}" for cls in type(caught.value).__mro__]
        assert official["type"].rpartition(".")[2] in [name.rpartition(".")[2] for name in names]
        assert str(caught.value).startswith(_sentence(official))
        assert MESSAGES.get(name, "") in str(caught.value)
        assert caught.value.__cause__ is None or "Deserialization" in official["type"]
        if official.get("resp"):
            _assert_response(caught.value, official, recorder)
    else:
        assert str(call(manager)) == (official["str"] or official["result"])
    assert len(recorder.requests) == ATTEMPTS.get(name, official["requests"])


def _assert_response(error: Any, official: dict[str, Any], recorder: RecordingHub) -> None:
    """The answer that the error holds, with the attributes that programs know from the requests package."""
    expected, response = official["resp"], error.response
    assert (error.message, error.args) == (str(error), (str(error),))
    assert (response.status_code, response.reason) == (expected["status_code"], expected["reason"])
    assert response.text == expected["text"]
    assert response.ok is (response.status_code < 400)
    for header, value in expected["headers"].items():
        assert response.headers[header.upper()] == value or response.status_code == 204 or header == "Retry-After"
    method, target, _ = recorder.requests[-1].line.split(" ")
    assert response.url == f"https://localhost:{recorder.port}{target}"
    assert (response.request.method, response.request.url) == (method, response.url)
    if response.status_code >= 400:
        assert str(error.error).startswith(official["error_str"].split(" for url")[0])
        assert error.error is error.inner_exception
        assert error.code == response.headers.get("iothub-errorcode", error.code)
