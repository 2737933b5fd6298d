"""The models of `azure.iot.device`: arguments, defaults, what can be set, and their texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Union

import pytest
from azure.iot.device import X509, Message, MethodRequest, MethodResponse, ProxyOptions, RegistrationResult
from azure.iot.device.provisioning.models.registration_result import RegistrationState

# --- messages -----------------------------------------------------------------------------------------------------


def test_a_new_message_has_its_data_and_nothing_else() -> None:
    message = Message("data")
    assert vars(message) == {
        "data": "data",
        "custom_properties": {},
        "message_id": None,
        "expiry_time_utc": None,
        "correlation_id": None,
        "user_id": None,
        "content_encoding": None,
        "content_type": None,
        "output_name": None,
        "input_name": None,
        "ack": None,
        "_iothub_interface_id": None,
    }
    assert Message("other").custom_properties is not message.custom_properties


def test_the_arguments_of_a_message_keep_their_order() -> None:
    message = Message(b"d", "id", "utf-8", "application/json", "out")
    found = (message.message_id, message.content_encoding, message.content_type, message.output_name)
    assert found == ("id", "utf-8", "application/json", "out")


@pytest.mark.parametrize("data", ["text", b"bytes", 5, None, {"any": "thing"}])
def test_the_text_of_a_message_is_that_of_its_data(data: object) -> None:
    assert str(Message(data)) == str(data)


def test_messages_are_compared_by_identity() -> None:
    assert Message("a") != Message("a")


def test_a_security_message_is_marked_and_only_by_its_method() -> None:
    message = Message("d")
    assert message.iothub_interface_id is None
    with pytest.raises(AttributeError):
        message.iothub_interface_id = "x"  # type: ignore[misc]
    message.set_as_security_message()
    assert message.iothub_interface_id == "urn:azureiot:Security:SecurityAgent:1"


def test_the_size_of_a_message_is_that_of_its_values_as_python_objects() -> None:
    assert Message(None).get_size() == 0
    for data in (b"x" * 10, "x" * 10, "", "é"):
        assert Message(data).get_size() == sys.getsizeof(data)
    message = Message("d", message_id="m")
    message.custom_properties = {"a key that does not count": "v", "none": None}
    message.set_as_security_message()
    counted = ["d", "m", "v", message.iothub_interface_id]
    assert message.get_size() == sum(map(sys.getsizeof, counted))


# --- direct methods -----------------------------------------------------------------------------------------------


def test_a_method_request_can_be_read_and_not_changed() -> None:
    request = MethodRequest("1", "reboot", {"now": True})
    assert (request.request_id, request.name, request.payload) == ("1", "reboot", {"now": True})
    for name in ("request_id", "name", "payload"):
        with pytest.raises(AttributeError):
            setattr(request, name, "x")


def test_a_method_response_answers_its_request() -> None:
    request = MethodRequest(request_id="7", name="n", payload=None)
    response = MethodResponse.create_from_method_request(request, 200)
    assert vars(response) == {"request_id": "7", "status": 200, "payload": None}
    response = MethodResponse.create_from_method_request(method_request=request, status=404, payload={"a": 1})
    assert (response.request_id, response.status, response.payload) == ("7", 404, {"a": 1})


def test_a_method_response_can_be_changed_and_subclassed() -> None:
    class Mine(MethodResponse):
        pass

    response = Mine.create_from_method_request(MethodRequest("1", "n", None), 200)
    assert type(response) is Mine
    response.request_id, response.status, response.payload = "2", 500, [1]
    assert vars(response) == {"request_id": "2", "status": 500, "payload": [1]}
    assert vars(MethodResponse("1", 200)) == {"request_id": "1", "status": 200, "payload": None}


# --- certificates -------------------------------------------------------------------------------------------------


def test_a_certificate_names_its_files() -> None:
    x509 = X509("cert.pem", "key.pem")
    assert (x509.certificate_file, x509.key_file, x509.pass_phrase) == ("cert.pem", "key.pem", None)
    assert X509(cert_file="c", key_file="k", pass_phrase="p").pass_phrase == "p"
    for name in ("certificate_file", "key_file", "pass_phrase"):
        with pytest.raises(AttributeError):
            setattr(x509, name, "x")


def test_a_certificate_is_read_from_its_files_or_given_as_text(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text("C")
    key.write_text("K")
    assert X509(str(certificate), str(key), "p").read() == (b"C", b"K", b"p")
    assert X509(str(certificate), None).read() == (b"C", b"C", None)
    from_text = X509.from_pem("C", b"K", "p")
    assert from_text.read() == (b"C", b"K", b"p")
    assert (from_text.certificate_file, from_text.key_file) == (None, None)
    with pytest.raises(FileNotFoundError) as caught:
        X509(str(certificate), "/does/not/exist.pem").read()
    assert caught.value.filename == "/does/not/exist.pem"


# --- proxies ------------------------------------------------------------------------------------------------------

NUMBERS = {"HTTP": 3, "SOCKS4": 1, "SOCKS5": 2}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_proxy_is_of_a_type_by_name_or_by_the_constant_of_pysocks(name: str) -> None:
    for given in (name, NUMBERS[name]):
        proxy = ProxyOptions(given, "proxy.example", 8080)
        assert (proxy.proxy_type, proxy.proxy_type_socks) == (name, NUMBERS[name])


@pytest.mark.parametrize("given", ["http", "HTTPS", "", 0, 4, None])
def test_another_type_of_proxy_is_refused(given: Union[str, int]) -> None:
    with pytest.raises(ValueError, match=r"^Invalid Proxy Type$"):
        ProxyOptions(given, "proxy.example", 8080)


def test_a_proxy_can_be_read_and_not_changed() -> None:
    proxy = ProxyOptions(proxy_type="HTTP", proxy_addr="p", proxy_port="8080", proxy_username="u", proxy_password="s")
    assert (proxy.proxy_address, proxy.proxy_port) == ("p", 8080)
    assert (proxy.proxy_username, proxy.proxy_password) == ("u", "s")
    names = ("type", "type_socks", "address", "port", "username", "password")
    for name in names:
        with pytest.raises(AttributeError):
            setattr(proxy, f"proxy_{name}", "x")
    assert ProxyOptions("HTTP", "p", 1).proxy_username is None
    assert ProxyOptions("HTTP", "p", 1).proxy_password is None
    with pytest.raises(ValueError, match="invalid literal for int"):
        ProxyOptions("HTTP", "p", "no number")


# --- provisioning -------------------------------------------------------------------------------------------------


def test_a_registration_tells_where_the_device_belongs() -> None:
    state = RegistrationState("d", "hub", "initialAssignment", "created", "updated", "etag", {"b": 1, "a": 2})
    found = (state.device_id, state.assigned_hub, state.sub_status, state.created_date_time)
    assert found == ("d", "hub", "initialAssignment", "created")
    assert (state.last_update_date_time, state.etag) == ("updated", "etag")
    assert state.response_payload == '{"a": 2, "b": 1}'
    assert str(state) == 'd\nhub\ninitialAssignment\n{"a": 2, "b": 1}'
    result = RegistrationResult("operation", "assigned", state)
    assert (result.operation_id, result.status, result.registration_state) == ("operation", "assigned", state)
    assert str(result) == f"{state}\nassigned"


def test_what_a_registration_does_not_tell_is_none() -> None:
    state = RegistrationState()
    assert {value for name, value in vars(state).items()} == {None}
    assert state.response_payload == "null"
    assert str(state).endswith("null")
    assert str(RegistrationResult("o", "failed")) == "None\nfailed"


def test_the_payload_of_a_registration_is_json_of_objects_too() -> None:
    class Payload:
        def __init__(self) -> None:
            self.x: Any = [1]

    assert json.loads(RegistrationState(payload=Payload()).response_payload) == {"x": [1]}


@pytest.mark.parametrize(
    "name",
    [
        "device_id",
        "assigned_hub",
        "sub_status",
        "created_date_time",
        "last_update_date_time",
        "etag",
        "response_payload",
    ],
)
def test_a_registration_can_not_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(RegistrationState(), name, "x")


@pytest.mark.parametrize("name", ["operation_id", "status", "registration_state"])
def test_the_result_of_a_registration_can_not_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(RegistrationResult("o", "s"), name, "x")
