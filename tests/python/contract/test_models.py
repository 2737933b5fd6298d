"""Every callable of the models gives the official package's answer."""

from __future__ import annotations

import sys

import pytest
from azure.iot.device import X509, Message, MethodRequest, MethodResponse, ProxyOptions, RegistrationResult

pytestmark = pytest.mark.usefixtures("recorded")


def test_message() -> None:
    message = Message(b"x" * 10, output_name="out")
    message.set_as_security_message()
    assert message.iothub_interface_id == "urn:azureiot:Security:SecurityAgent:1"
    parts = (b"x" * 10, "out", message.iothub_interface_id)
    assert message.get_size() == sum(map(sys.getsizeof, parts))


def test_method_request_and_response() -> None:
    request = MethodRequest("7", "reboot", {"now": True})
    assert (request.request_id, request.name, request.payload) == ("7", "reboot", {"now": True})
    response = MethodResponse.create_from_method_request(request, 200, "done")
    assert vars(response) == {"request_id": "7", "status": 200, "payload": "done"}


def test_x509() -> None:
    x509 = X509("cert.pem", "key.pem", "phrase")
    assert (x509.certificate_file, x509.key_file, x509.pass_phrase) == ("cert.pem", "key.pem", "phrase")


def test_proxy_options() -> None:
    proxy = ProxyOptions("SOCKS5", "proxy", "1080", "user", "password")
    assert (proxy.proxy_type, proxy.proxy_type_socks) == ("SOCKS5", 2)
    assert (proxy.proxy_address, proxy.proxy_port) == ("proxy", 1080)
    assert (proxy.proxy_username, proxy.proxy_password) == ("user", "password")


def test_registration_result() -> None:
    result = RegistrationResult("operation", "assigned")
    assert (result.operation_id, result.status, result.registration_state) == ("operation", "assigned", None)
