"""Every callable of the clients does what it is for: all four sorts of client against a local hub."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import pytest
from answering_device import Answering
from azure.iot.device import X509, Message, MethodResponse
from azure.iot.device.common.auth import SymmetricKeySigningMechanism
from azure.iot.device.common.auth.sastoken import RenewableSasToken
from azure.iot.device.exceptions import ClientError
from blob_peer import put_blob
from ferrohub import Outbox
from sorts_of_clients import DEVICE, MODULE, SECONDS, Sort
from tls_hub import TlsHub

pytestmark = pytest.mark.usefixtures("recorded")


def test_a_client_connects_disconnects_and_is_shut_down(client: Any, sort: Sort) -> None:
    assert not client.connected
    sort.run(client.connect())
    assert client.connected
    sort.run(client.disconnect())
    assert not client.connected
    sort.run(client.shutdown())
    with pytest.raises(ClientError):
        sort.run(client.connect())


def test_a_message_arrives(client: Any, sort: Sort) -> None:
    message = Message("é", message_id="m 1")
    message.custom_properties["a"] = 1
    sort.run(client.send_message(message))
    (arrived,) = sort.back.hub.telemetry()
    assert (arrived.device_id, arrived.module_id) == (DEVICE, MODULE if sort.of_module else None)
    assert (arrived.body, arrived.properties) == ("é".encode(), {"$.mid": "m 1", "a": "1"})


def test_an_outbox_keeps_messages_until_the_hub_has_them(sort: Sort, tmp_path: Path) -> None:
    hub, outbox = sort.back.hub, Outbox(tmp_path / "outbox")
    with hub.faults.refuse_connects() as refused:
        client = sort.cls.create_from_connection_string(
            sort.connection_string, outbox=outbox, connection_retry_interval=1
        )
        sort.run(client.send_message("x"))
        assert client.statistics["stored"] == 1
        refused.clear()
        sort.run(client.flush())
    (arrived,) = hub.telemetry()
    assert (arrived.module_id, arrived.body) == (MODULE if sort.of_module else None, b"x")
    sort.run(client.shutdown())


def test_a_message_to_an_output_names_it(client: Any, sort: Sort) -> None:
    if not sort.of_module:
        assert not hasattr(client, "send_message_to_output")
        return
    sort.run(client.send_message_to_output("x", "out 1"))
    (arrived,) = sort.back.hub.telemetry()
    assert (arrived.body, arrived.properties) == (b"x", {"$.on": "out 1"})


def test_the_twin_is_read_and_reported_to(client: Any, sort: Sort) -> None:
    sort.desire(a={"b": [1]})
    sort.run(client.patch_twin_reported_properties({"c": "é"}))
    twin = sort.run(client.get_twin())
    assert twin == {
        "desired": {"a": {"b": [1]}, "$version": 2},
        "reported": {"c": "é", "$version": 2},
    }
    assert sort.reported()["c"] == "é"


def test_patches_are_received_by_calls(client: Any, sort: Sort) -> None:
    def desire() -> None:
        sort.wait_subscribed("$iothub/twin/PATCH/properties/desired/#")
        sort.desire(a=1)

    desiring = threading.Thread(target=desire, daemon=True)
    desiring.start()
    assert sort.received(client.receive_twin_desired_properties_patch) == {"a": 1, "$version": 2}
    desiring.join(SECONDS)


def test_a_file_is_uploaded_and_the_hub_told(client: Any, sort: Sort) -> None:
    if sort.of_module:
        assert not hasattr(client, "get_storage_info_for_blob")
        assert not hasattr(client, "notify_blob_upload_status")
        return
    info = sort.run(client.get_storage_info_for_blob("log é.txt"))
    assert (info["blobName"], info["hostName"]) == (f"{DEVICE}/log é.txt", sort.back.host_name)
    put_blob(info, b"all is well")
    assert sort.run(client.notify_blob_upload_status(info["correlationId"], True, 201, "é")) is None
    (told,) = sort.back.hub.file_notifications()
    assert (told.device_id, told.is_success, told.status_code, told.status_description) == (DEVICE, True, 201, "é")
    assert (told.blob_size, sort.back.hub.blob(told.blob_name)) == (11, b"all is well")
    assert not client.connected


def test_methods_are_received_and_answered_by_calls(client: Any, sort: Sort) -> None:
    sort.run(client.connect())
    answers: queue.Queue[Any] = queue.Queue()

    def invoke() -> None:
        sort.wait_subscribed("$iothub/methods/POST/#")
        answers.put(sort.back.invoke(sort.path, "reboot", {"now": True}))

    thread = threading.Thread(target=invoke, daemon=True)
    thread.start()
    request = sort.received(client.receive_method_request, "reboot")
    assert (request.name, request.payload) == ("reboot", {"now": True})
    sort.run(client.send_method_response(MethodResponse.create_from_method_request(request, 201, "done")))
    assert answers.get(timeout=SECONDS) == {"status": 201, "payload": "done"}
    thread.join(SECONDS)


def test_messages_are_received_by_calls(client: Any, sort: Sort) -> None:
    sort.run(client.connect())
    sort.send("hello", {"$.mid": "m 1", "a": "é"})
    if sort.of_module:
        message = sort.received(client.receive_message_on_input, "in 1")
        assert message.input_name == "in 1"
    else:
        message = sort.received(client.receive_message)
        assert message.input_name is None
    assert (message.data, message.message_id, message.custom_properties["a"]) == (b"hello", "m 1", "é")


def test_handlers_are_called_with_what_comes(client: Any, sort: Sort) -> None:
    came: queue.Queue[Any] = queue.Queue()

    def handler(name: str) -> Any:
        return lambda *given: came.put((name, *given))

    for name in (
        "on_connection_state_change",
        "on_message_received",
        "on_method_request_received",
        "on_twin_desired_properties_patch_received",
    ):
        assert getattr(client, name) is None
        set_to = handler(name)
        setattr(client, name, set_to)
        assert getattr(client, name) is set_to
    assert came.get(timeout=SECONDS) == ("on_connection_state_change",)
    sort.send("hello", {})
    name, message = came.get(timeout=SECONDS)
    assert (name, message.data) == ("on_message_received", b"hello")
    sort.desire(a=1)
    name, patch = came.get(timeout=SECONDS)
    assert (name, patch) == ("on_twin_desired_properties_patch_received", {"a": 1, "$version": 2})
    answering = threading.Thread(target=sort.back.invoke, args=(sort.path, "reboot", None), daemon=True)
    answering.start()
    name, request = came.get(timeout=SECONDS)
    assert (name, request.name) == ("on_method_request_received", "reboot")
    sort.run(client.send_method_response(MethodResponse(request.request_id, 200)))
    answering.join(SECONDS)


def test_what_fails_in_the_background_is_told(client: Any, sort: Sort) -> None:
    failures: queue.Queue[Exception] = queue.Queue()
    assert client.on_background_exception is None
    client.on_background_exception = failures.put

    def fail(_: Any) -> None:
        raise LookupError("in a handler")

    client.on_twin_desired_properties_patch_received = fail
    sort.desire(a=1)
    assert str(failures.get(timeout=SECONDS)) == "in a handler"


def sastoken(sort: Sort, seconds: float) -> str:
    resource = f"{sort.back.host_name}/devices/{'/modules/'.join(sort.ids)}"
    return str(RenewableSasToken(resource, SymmetricKeySigningMechanism(sort.key), ttl=seconds))


def test_a_client_lives_on_tokens_of_the_program(sort: Sort) -> None:
    client = sort.cls.create_from_sastoken(sastoken(sort, 3))
    asked = threading.Event()
    assert client.on_new_sastoken_required is None
    client.on_new_sastoken_required = asked.set
    sort.run(client.send_message("with the first token"))
    assert asked.wait(SECONDS)
    sort.run(client.update_sastoken(sastoken(sort, 600)))
    assert client.connected
    sort.run(client.send_message("with the second"))
    bodies = [message.body for message in sort.back.hub.telemetry()]
    assert bodies == [b"with the first token", b"with the second"]
    sort.run(client.shutdown())


def test_a_client_is_made_from_a_key(sort: Sort) -> None:
    if sort.of_module:
        assert not hasattr(sort.cls, "create_from_symmetric_key")
        return
    client = sort.cls.create_from_symmetric_key(sort.key, sort.back.host_name, DEVICE)
    assert sort.run(client.get_twin())["desired"] == {"$version": 1}
    sort.run(client.shutdown())


def test_a_client_is_made_from_a_certificate(sort: Sort, certificates: Path, tls_hub: TlsHub) -> None:
    x509 = X509(str(certificates / "server.pem"), str(certificates / "server.key"))
    client = sort.cls.create_from_x509_certificate(
        x509, tls_hub.host_name, *sort.ids, server_verification_cert=tls_hub.ca
    )
    sort.run(client.connect())
    shown = tls_hub.shown()
    assert (shown.certificate, shown.password, shown.client_id) == ("localhost", None, "/".join(sort.ids))
    sort.run(client.shutdown())


def test_a_module_is_made_from_the_environment_of_iot_edge(sort: Sort, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sort.of_module:
        assert not hasattr(sort.cls, "create_from_edge_environment")
        return
    with sort.back.hub.edge_workload(DEVICE, MODULE) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        client = sort.cls.create_from_edge_environment()
        assert sort.run(client.get_twin())["desired"] == {"$version": 1}
        with Answering(sort.back.hub) as device:
            answer = sort.run(client.invoke_method({"methodName": "reboot", "payload": {"now": True}}, DEVICE))
        assert answer == {"status": 200, "payload": device.called_with}
        assert device.called_with == ["reboot", {"now": True}]
        sort.run(client.shutdown())
