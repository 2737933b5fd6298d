"""Errors have the type, text and attributes programs know, say what to do, and never show a key."""

from __future__ import annotations

import binascii
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
from ferrohub import service
from ferrohub.service import (
    ClientRequestError,
    HttpOperationError,
    IoTHubRegistryManager,
    RetriesExhaustedError,
    RetryPolicy,
)
from ferrohub.service.models import CloudToDeviceMethod, Twin
from ferrohub.service.sastoken import SasTokenError
from recording_hub import JSON, Answer, Recorded, RecordingHub

Golden = Callable[[str], Any]

KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZy1vbmx5LTAwMDE="
OFFICIAL = "Operation returned an invalid status code "


def test_the_hubs_message_is_found_in_all_three_forms(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    nested = (
        rb'{"Message":"{\"errorCode\":404103,\"trackingId\":\"t\",\"message\":\"It is not online.\"}",'
        rb'"ExceptionMessage":""}'
    )
    for body, text in [
        (
            b'{"Message":"ErrorCode:DeviceNotFound;d","ExceptionMessage":"Tracking ID:t"}',
            "DeviceNotFound: d (tracking id t)",
        ),
        (b'{"errorCode":404010,"message":"No such module","trackingId":"t"}', "404010: No such module (tracking id t)"),
        (nested, "404103: It is not online. (tracking id t)"),
        (b'{"Message":"Something else"}', "Something else"),
    ]:
        recorder.answers = Answer(404, "Not Found", body)
        with pytest.raises(HttpOperationError) as caught:
            manager.get_device("d")
        assert str(caught.value) == f"{OFFICIAL}'Not Found': {text}"


def test_the_response_is_json_when_it_is(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    recorder.answers = Answer(409, "Conflict", b'{"Message":"ErrorCode:X;y"}', (*JSON, ("iothub-errorcode", "X")))
    with pytest.raises(HttpOperationError) as caught:
        manager.create_device_with_sas("d", "", "", "enabled")
    assert caught.value.response.json() == {"Message": "ErrorCode:X;y"}
    assert caught.value.response.headers.get("IOTHUB-ErrorCode") == "X"
    assert "iothub-errorcode" in caught.value.response.headers
    recorder.answers = Answer(404, "Not Found", b"<html>")
    with pytest.raises(HttpOperationError) as caught:
        manager.get_device("d")
    with pytest.raises(ValueError, match="Expecting value"):
        caught.value.response.json()


def test_latin_1_is_read_when_the_header_says_so(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    headers = (("Content-Type", "application/json; charset=ISO-8859-1"),)
    recorder.answers = Answer(body=b'{"statusReason": "caf\xe9"}', headers=headers)
    assert manager.get_device("d").status_reason == "caf\u00e9"


def test_a_hub_that_does_not_run_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    manager = IoTHubRegistryManager(f"HostName=localhost:{port};SharedAccessKeyName=n;SharedAccessKey={KEY}")
    with pytest.raises(ClientRequestError) as caught:
        manager.update_twin("d", Twin())
    text = str(caught.value)
    assert text.startswith(f"Error occurred in request., ConnectionError: could not connect to localhost:{port}: ")
    assert "refused" in text
    assert "start one with `ferrohub up`" in text
    assert isinstance(caught.value.inner_exception, OSError)


@pytest.mark.parametrize(
    "call",
    [lambda manager: manager.get_device("d"), lambda manager: manager.bulk([{"id": str(n)} for n in range(500)])],
)
def test_ctrl_c_ends_a_call_that_waits(
    call: Callable[[IoTHubRegistryManager], Any], recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    interrupted, first = threading.Event(), threading.Lock()

    def answers(_request: Recorded) -> Answer:
        # As the terminal does it: the signal comes while the main thread waits for the answer.
        if first.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGINT)
        interrupted.wait(30)
        return Answer()

    recorder.answers = answers
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        call(manager)
    interrupted.set()
    assert time.monotonic() - start < 10


def test_a_call_without_an_answer_ends_at_its_time(recorder: RecordingHub) -> None:
    answer_now = threading.Event()

    def answers(_request: Recorded) -> Answer:
        answer_now.wait(30)
        return Answer()

    recorder.answers = answers
    whole = IoTHubRegistryManager(recorder.connection_string(), timeout=0.3)
    for call in (lambda: whole.get_device("d"), lambda: whole.get_twin("d", timeout=0.2)):
        with pytest.raises(ClientRequestError) as caught:
            call()
        expected = (
            rf"Error occurred in request\., ReadTimeout: localhost:{recorder.port} did not answer within 0\.[23] s"
        )
        assert re.fullmatch(expected, str(caught.value))
    answer_now.set()


@pytest.mark.parametrize(
    ("call", "of_modules"),
    [
        (lambda m: m.get_module("d", "m"), True),
        (lambda m: m.get_modules("d"), True),
        (lambda m: m.get_device("d"), False),
        (lambda m: m.get_module_twin("d", "m"), False),
    ],
)
def test_a_401_about_a_module_may_be_about_its_device(
    call: Callable[[IoTHubRegistryManager], Any],
    of_modules: bool,
    recorder: RecordingHub,
    manager: IoTHubRegistryManager,
) -> None:
    recorder.answers = Answer(401, "Unauthorized", b'{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized"}')
    with pytest.raises(HttpOperationError, match="SharedAccessKeyName and SharedAccessKey in the connection") as caught:
        call(manager)
    assert ("whether the device exists and is enabled" in str(caught.value)) is of_modules


def test_a_redirection_that_is_not_followed_is_called_one(
    recorder: RecordingHub, manager: IoTHubRegistryManager
) -> None:
    recorder.answers = Answer(307, "Temporary Redirect", b"", (("Location", "https://elsewhere/twins/d?sig=secret"),))
    for call in (lambda: manager.get_device("d"), lambda: manager.update_twin("d", Twin())):
        with pytest.raises(HttpOperationError) as caught:
            call()
        assert str(caught.value) == (
            f"Unknown error: localhost:{recorder.port} answered 307 'Temporary Redirect' and points to"
            " https://elsewhere/twins/d: only a GET is sent again, and only to the same host"
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.invoke_device_method("d", CloudToDeviceMethod(method_name="m", response_timeout_in_seconds=20)),
        lambda m: m.invoke_device_module_method("d", "m", {"methodName": "m", "connectTimeoutInSeconds": 20}),
        lambda m: m.protocol.devices.invoke_method("d", {"method_name": "m", "connect_timeout_in_seconds": 20}),
        lambda m: m.protocol.digital_twin.invoke_root_level_command("d", "m", {}, response_timeout_in_seconds=20),
    ],
    ids=["device", "module", "protocol", "command"],
)
def test_a_method_call_has_the_time_that_it_gives_the_device(
    call: Callable[[IoTHubRegistryManager], Any], recorder: RecordingHub
) -> None:
    arrived, answer_now = threading.Event(), threading.Event()

    def answers(request: Recorded) -> Answer:
        if request.line.startswith("POST"):
            arrived.set()
        answer_now.wait(30)
        return Answer()

    recorder.answers = answers
    with IoTHubRegistryManager(recorder.connection_string(), timeout=0.2) as manager, ThreadPoolExecutor() as pool:
        called = pool.submit(call, manager)
        assert arrived.wait(20)
        # Another call that began later ends for the manager's time.
        with pytest.raises(ClientRequestError, match="ReadTimeout"):
            manager.get_device("d")
        assert not called.done()
        answer_now.set()
        called.result(20)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_time_that_is_none_to_wait_for_is_refused(timeout: float, manager: IoTHubRegistryManager) -> None:
    for wrong in (
        lambda: IoTHubRegistryManager(SERVICE, timeout=timeout),
        lambda: manager.get_device("d", timeout=timeout),
    ):
        with pytest.raises(ValueError, match=r"timeout must be a number of seconds above 0, not"):
            wrong()


@pytest.mark.parametrize("wrong", ["5", True, [5]])
def test_what_is_no_number_or_no_policy_is_refused_at_the_call(wrong: Any, manager: IoTHubRegistryManager) -> None:
    for call in (
        lambda: IoTHubRegistryManager(SERVICE, timeout=wrong),
        lambda: IoTHubRegistryManager(SERVICE, retry=wrong),
        lambda: RetryPolicy(attempts=wrong),
        lambda: RetryPolicy(backoff=wrong),
        lambda: manager.get_device("d", timeout=wrong),
        lambda: manager.query("SELECT * FROM devices", timeout=wrong),
        lambda: manager.query("SELECT * FROM devices", page_size=wrong),
        lambda: manager.bulk([], concurrency=wrong),
        lambda: manager.bulk([], progress=wrong),
        lambda: setattr(manager.protocol.config.connection, "timeout", wrong),
    ):
        with pytest.raises(
            TypeError, match=r"^(timeout|retry|attempts|backoff|page_size|concurrency|progress) must be"
        ):
            call()


def test_an_untrusted_certificate_is_refused_at_once(
    recorder: RecordingHub, manager: IoTHubRegistryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    start = time.monotonic()
    with pytest.raises(ClientRequestError, match=r"^Error occurred in request\., SSLError: the TLS handshake with"):
        manager.get_device("d")
    assert time.monotonic() - start < 2
    assert recorder.requests == []


def test_a_missing_bundle_is_an_os_error(manager: IoTHubRegistryManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/does/not/exist.pem")
    with pytest.raises(OSError, match=r"(?i)could not find a suitable TLS CA certificate bundle, invalid path: /does"):
        manager.get_device("d")


SERVICE = f"HostName=h;SharedAccessKeyName=n;SharedAccessKey={KEY}"
NO_EQUALS = "dictionary update sequence element #{} has length 1; 2 is required"
BAD_STRINGS: list[tuple[Any, type[Exception], str]] = [
    ("", ValueError, NO_EQUALS.format(0)),
    ("YourIotHubConnectionString", ValueError, NO_EQUALS.format(0)),
    (SERVICE + ";", ValueError, NO_EQUALS.format(3)),
    ("HostName=h;HostName=h", ValueError, "Invalid Connection String - Unable to parse"),
    (f"{SERVICE};Foo=1", ValueError, "Invalid Connection String - Invalid Key"),
    (
        f"hostname=h;SharedAccessKeyName=n;SharedAccessKey={KEY}",
        ValueError,
        "Invalid Connection String - Invalid Key",
    ),
    (f"HostName=h;SharedAccessKeyName=n;{KEY}", ValueError, "Invalid Connection String - Invalid Key"),
    ("HostName=h", ValueError, "Invalid Connection String - Incomplete"),
    (
        f"HostName=;SharedAccessKeyName=n;SharedAccessKey={KEY}",
        ValueError,
        "Invalid Connection String - Incomplete",
    ),
    (
        "HostName=h;SharedAccessKeyName=n;SharedAccessSignature=x",
        ValueError,
        "Invalid Connection String - Incomplete",
    ),
    (f"HostName=h;DeviceId=d;SharedAccessKey={KEY}", KeyError, "'SharedAccessKeyName'"),
    (f"HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey={KEY}", KeyError, "'SharedAccessKeyName'"),
    ("HostName=h;SharedAccessKeyName=n;SharedAccessKey=Z", binascii.Error, "Invalid base64-encoded string"),
    (None, TypeError, 'can only concatenate str (not "NoneType") to str'),
    (5, TypeError, "the connection string must be a str, not int"),
]


@pytest.mark.parametrize(
    "sdk_class", [service.DigitalTwinClient, service.IoTHubConfigurationManager, service.IoTHubJobManager]
)
def test_other_managers_than_the_registrys_say_at_the_first_call_what_is_wrong_with_a_connection_string(
    sdk_class: Any,
) -> None:
    for text in ("", None, "HostName=h", f"{SERVICE};Foo=1"):
        with pytest.raises((ValueError, TypeError)):
            sdk_class(text)
    for text, kind, message in (
        (f"HostName=h;DeviceId=d;SharedAccessKey={KEY}", KeyError, "'SharedAccessKeyName': this is the connection"),
        (
            "HostName=h;SharedAccessKeyName=n;SharedAccessKey=Z",
            SasTokenError,
            "Unable to build SasToken from given",
        ),
    ):
        manager = sdk_class.from_connection_string(text)
        with pytest.raises(kind) as caught:
            manager.protocol.devices.get_identity("d")
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("text", "kind", "message"), BAD_STRINGS)
def test_a_bad_connection_string_is_refused_as_officially_and_explained(
    text: Any, kind: type[Exception], message: str
) -> None:
    for make in (IoTHubRegistryManager, IoTHubRegistryManager.from_connection_string):
        with pytest.raises(kind) as caught:
            make(text)
        assert str(caught.value).startswith(message)
        assert len(str(caught.value)) > len(message) or text == 5
        assert KEY not in str(caught.value) + repr(caught.value)
        assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][1:] == ["call"]


def test_the_remedy_names_the_party_whose_string_it_is() -> None:
    with pytest.raises(KeyError, match="this is the connection string of a module"):
        IoTHubRegistryManager(f"HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey={KEY}")


FAILING: list[tuple[Answer, Callable[[IoTHubRegistryManager], Any]]] = [
    (Answer(404, "Not Found"), lambda manager: manager.get_device("d")),
    (Answer(body=b"[]"), lambda manager: manager.get_device("d")),
    (Answer(body=b'{"version": "x"}'), lambda manager: manager.get_twin("d")),
    (Answer(body=b"{"), lambda manager: manager.get_twin("d")),
    (Answer(None), lambda manager: manager.update_twin("d", Twin())),
    (Answer(), lambda manager: manager.get_device(None)),  # type: ignore[arg-type]
    (Answer(), lambda manager: manager.update_twin("d", Twin(version="x"))),
    (Answer(), lambda manager: manager.update_twin("d", Twin(tags=5))),
    (Answer(), lambda manager: manager.get_devices("x")),  # type: ignore[arg-type]
    (Answer(), lambda manager: manager.update_twin("d", Twin(), "line\nbreak")),
]


@pytest.mark.parametrize(("answer", "call"), FAILING)
def test_every_error_shows_one_frame_of_ours(
    answer: Answer,
    call: Callable[[IoTHubRegistryManager], Any],
    recorder: RecordingHub,
    manager: IoTHubRegistryManager,
) -> None:
    recorder.answers = answer
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any of them
        call(manager)
    # This function, the lambda above, and one of ours; causes are shown as a line each.
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][2:] == ["call"]
    cause = caught.value.__cause__
    while cause is not None:
        assert not [frame for frame in traceback.extract_tb(cause.__traceback__) if "ferrohub" in frame.filename]
        cause = cause.__cause__


def test_an_error_of_the_users_own_code_keeps_its_frames(recorder: RecordingHub) -> None:
    class Credential:
        def get_token(self, *_scopes: str) -> Any:
            raise LookupError("no token today")

    manager = IoTHubRegistryManager(host=f"localhost:{recorder.port}", token_credential=Credential())
    with pytest.raises(LookupError, match="no token today") as caught:
        manager.get_device("d")
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[1:] == ["call", "get_token"]


@pytest.mark.parametrize(
    "call",
    [
        lambda manager: manager.get_device(None),
        lambda manager: manager.update_twin("d", Twin(tags=5)),
        lambda manager: manager.update_twin("d", Twin(version="x")),
        lambda manager: manager.get_devices(),
    ],
    ids=["missing", "no dict", "no number", "no list"],
)
def test_errors_of_arguments_and_answers_pickle(call: Callable[[Any], Any], manager: IoTHubRegistryManager) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of several kinds
        call(manager)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made a moment ago
    assert (type(again), str(again), vars(again)) == (type(caught.value), str(caught.value), vars(caught.value))


def test_errors_pickle_with_what_programs_read(recorder: RecordingHub, manager: IoTHubRegistryManager) -> None:
    recorder.answers = Answer(404, "Not Found", b'{"Message":"ErrorCode:DeviceNotFound;d"}')
    with pytest.raises(HttpOperationError) as caught:
        manager.get_device("d")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(again) is type(caught.value)
    assert (str(again), again.message, again.code) == (
        str(caught.value),
        caught.value.message,
        "DeviceNotFound",
    )
    assert (again.response.status_code, again.response.text) == (404, caught.value.response.text)
    assert again.response.headers == caught.value.response.headers
    assert str(again.error) == str(caught.value.error)
    recorder.answers = Answer(None)
    with pytest.raises(ClientRequestError) as dropped:
        manager.update_twin("d", Twin())
    again = pickle.loads(pickle.dumps(dropped.value))  # noqa: S301
    assert (type(again), str(again)) == (ClientRequestError, str(dropped.value))
    assert type(again.inner_exception) is type(dropped.value.inner_exception)
    assert again.response is None


def test_no_key_and_no_token_can_be_read_from_an_error(recorder: RecordingHub) -> None:
    recorder.answers = Answer(400, "Bad Request")
    manager = IoTHubRegistryManager(recorder.connection_string(KEY))
    with pytest.raises(HttpOperationError) as caught:
        manager.create_device_with_sas("d", KEY, KEY, "enabled")
    error = caught.value
    shown = [
        str(error),
        repr(error),
        repr(vars(error)),
        repr(vars(error.response)),
        repr(vars(error.response.request)),
    ]
    shown += [
        repr(vars(error.error)),
        pickle.dumps(error).decode("latin-1"),
        repr(manager),
        repr(vars(manager._client)),
    ]
    assert all(KEY not in text and "sig=" not in text for text in shown)


def test_the_classes_are_those_of_msrest_where_it_is_installed() -> None:
    msrest = pytest.importorskip("msrest.exceptions", reason="msrest is not installed")
    azure_core = pytest.importorskip("azure.core.exceptions")
    from ferrohub.service import DeserializationError, SerializationError, ValidationError

    assert issubclass(HttpOperationError, msrest.HttpOperationError)
    assert issubclass(ClientRequestError, msrest.ClientRequestError)
    assert issubclass(RetriesExhaustedError, (msrest.HttpOperationError, msrest.ClientRequestError))
    assert issubclass(ValidationError, msrest.ValidationError)
    assert (SerializationError, DeserializationError) == (
        azure_core.SerializationError,
        azure_core.DeserializationError,
    )


def test_importing_and_calling_need_none_of_the_slow_packages(recorder: RecordingHub) -> None:
    import subprocess

    program = (
        "import sys\n"
        "from ferrohub.service import IoTHubRegistryManager\n"
        "from ferrohub.service.models import Twin\n"
        f"IoTHubRegistryManager({recorder.connection_string()!r}).get_twin('d')\n"
        "slow = 'asyncio ssl requests msrest azure.core email http inspect dataclasses'.split()\n"
        "print([name for name in slow if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
