"""Modules on IoT Edge: clients made from the environment, against a hub that stands for the Edge runtime."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient, aio
from azure.iot.device.common.auth.sastoken import SasTokenError
from azure.iot.device.exceptions import ConnectionFailedError, OperationCancelled
from azure.iot.device.iothub.edge_hsm import IoTEdgeError
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, Program

SECONDS = 20
ON_A_DEVICE = {
    "IOTEDGE_IOTHUBHOSTNAME": "hub.example.test",
    "IOTEDGE_DEVICEID": DEVICE,
    "IOTEDGE_MODULEID": MODULE,
    "IOTEDGE_GATEWAYHOSTNAME": "localhost",
    "IOTEDGE_MODULEGENERATIONID": "1",
    "IOTEDGE_APIVERSION": "2019-01-30",
}
IN_A_DEBUGGER = ("EdgeHubConnectionString", "EdgeModuleCACertificateFile")


@pytest.fixture(autouse=True)
def outside_of_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the tests has none of the variables."""
    for name in (*ON_A_DEVICE, "IOTEDGE_WORKLOADURI", *IN_A_DEBUGGER):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables of the environment."""

    def set_environment(variables: dict[str, str], **more: str) -> None:
        for name, value in {**variables, **more}.items():
            monkeypatch.setenv(name, value)

    return set_environment


@pytest.fixture
def edge(hub: LocalHub, registry: IoTHubRegistryManager) -> LocalHub:
    """A hub with a module."""
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
    return hub


class Workload:
    """A workload API that answers as the test says: a status and a body, or nothing at all."""

    def __init__(self, ca: str) -> None:
        self.trust_bundle: tuple[int, Any] | None = (200, {"certificate": ca})
        self.sign: tuple[int, Any] | None = (200, {"digest": "c2lnbmVk"})
        self.requests: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self.silence = threading.Event()
        workload = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                workload.requests.put((self.command, self.path, json.loads(body) if body else None))
                answer = workload.sign if self.command == "POST" else workload.trust_bundle
                if answer is None:
                    workload.silence.wait(SECONDS)
                    self.close_connection = True
                    return
                status, document = answer
                text = document.encode() if isinstance(document, str) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.silence.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(SECONDS)


@pytest.fixture
def workload(certificates: Path) -> Iterator[Workload]:
    """A workload API of the test's own."""
    workload = Workload((certificates / "ca.pem").read_text())
    yield workload
    workload.close()


@pytest.mark.parametrize("process", [False, True])
@pytest.mark.parametrize("socket", ["unix", "http"])
def test_a_module_is_made_from_its_environment(
    socket: str, process: bool, tmp_path: Path, set_environment: Callable[..., None]
) -> None:
    path = tmp_path / "workload.sock" if socket == "unix" else None
    with LocalHub(process=process) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        with hub.edge_workload(DEVICE, MODULE, path) as environment:
            assert environment["IOTEDGE_WORKLOADURI"].startswith(f"{socket}://")
            set_environment(environment)
            client = IoTHubModuleClient.create_from_edge_environment(product_info="edge-test")
            client.send_message_to_output("made on the edge", "out")
            assert client.get_twin()["desired"] == {"$version": 1}
            client.shutdown()
        (message,) = hub.telemetry()
        assert (message.device_id, message.module_id, message.body) == (DEVICE, MODULE, b"made on the edge")
    assert path is None or not path.exists()


def test_an_asyncio_module_too(edge: LocalHub, set_environment: Callable[..., None], tmp_path: Path) -> None:
    async def send() -> None:
        async with aio.IoTHubModuleClient.create_from_edge_environment() as client:
            await client.send_message("from a coroutine")

    with edge.edge_workload(DEVICE, MODULE, tmp_path / "workload.sock") as environment:
        set_environment(environment)
        asyncio.run(send())
    assert [message.body for message in edge.telemetry()] == [b"from a coroutine"]


def test_tokens_are_signed_anew_before_they_expire(edge: LocalHub, set_environment: Callable[..., None]) -> None:
    with edge.edge_workload(DEVICE, MODULE) as environment:
        set_environment(environment)
        client = IoTHubModuleClient.create_from_edge_environment(sastoken_ttl=7)
        changes: queue.Queue[bool] = queue.Queue()
        client.on_connection_state_change = lambda: changes.put(client.connected)
        client.connect()
        # A renewal after five seconds is the shortest there is: disconnected, and connected with a new token.
        for _ in range(2):
            changes.get(timeout=SECONDS)
        assert changes.get(timeout=SECONDS) or changes.get(timeout=SECONDS)
        client.send_message("with the second token")
        client.shutdown()
    assert edge.statistics()["connects"] == 2


def test_signing_that_fails_is_a_failed_connect_that_is_tried_again(
    edge: LocalHub, set_environment: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "workload.sock"
    opened = edge.edge_workload(DEVICE, MODULE, path)
    set_environment(opened.environment)
    client = IoTHubModuleClient.create_from_edge_environment(connection_retry_interval=1)
    opened.close()
    with pytest.raises(ConnectionFailedError, match=r"^Could not connect to IoTHub: IoT Edge signed no token: Unable"):
        client.connect()
    with edge.edge_workload(DEVICE, MODULE, path):
        client.connect()
    failures: queue.Queue[Exception] = queue.Queue()
    client.on_background_exception = failures.put
    edge.faults.drop(DEVICE, MODULE)
    while not isinstance(failures.get(timeout=SECONDS), ConnectionFailedError):
        pass
    with edge.edge_workload(DEVICE, MODULE, path):
        client.send_message("after the runtime is back", timeout=SECONDS)
    client.shutdown()


def test_a_slow_signature_holds_up_nobody_else(
    edge: LocalHub, workload: Workload, set_environment: Callable[..., None]
) -> None:
    set_environment(ON_A_DEVICE, IOTEDGE_WORKLOADURI=workload.uri)
    waiting = IoTHubModuleClient.create_from_edge_environment()
    workload.sign = None
    outcomes: queue.Queue[type[Exception]] = queue.Queue()

    def connect() -> None:
        try:
            waiting.connect()
        except Exception as error:  # noqa: BLE001 - looked at below
            outcomes.put(type(error))

    connecting = threading.Thread(target=connect, daemon=True)
    connecting.start()
    for _ in range(3):  # the trust bundle, the signature at creation, and the one that is never answered
        workload.requests.get(timeout=SECONDS)
    other = IoTHubModuleClient.create_from_connection_string(edge.module_connection_string(DEVICE, MODULE))
    other.send_message("not held up", timeout=SECONDS)
    other.shutdown()
    assert connecting.is_alive()
    waiting.disconnect()
    assert outcomes.get(timeout=SECONDS) is OperationCancelled
    connecting.join(SECONDS)
    waiting.shutdown()


def test_what_is_asked_of_the_workload_api(workload: Workload, set_environment: Callable[..., None]) -> None:
    set_environment(
        ON_A_DEVICE,
        IOTEDGE_WORKLOADURI=f"{workload.uri}/",
        IOTEDGE_MODULEID="mod A/1",
        IOTEDGE_MODULEGENERATIONID="636",
    )
    client = IoTHubModuleClient.create_from_edge_environment()
    assert workload.requests.get(timeout=SECONDS) == ("GET", "/trust-bundle?api-version=2019-01-30", None)
    method, path, body = workload.requests.get(timeout=SECONDS)
    assert (method, path) == ("POST", "/modules/mod%20A%2F1/genid/636/sign?api-version=2019-01-30")
    assert list(body) == ["keyId", "algo", "data"]
    assert (body["keyId"], body["algo"]) == ("primary", "HMACSHA256")
    resource, expiry = base64.b64decode(body["data"]).decode().split("\n")
    assert resource == f"hub.example.test%2Fdevices%2F{DEVICE}%2Fmodules%2Fmod%20A%2F1"
    assert abs(int(expiry) - (time.time() + 3600)) < SECONDS
    client.shutdown()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, {"message": "Module not found"}), "Unable to get trust bundle from Edge: .* 404 Module not found"),
        ((500, "no JSON"), "Unable to get trust bundle from Edge: .* 500 Internal Server Error"),
        ((200, "no JSON"), "Unable to decode trust bundle"),
        ((200, {"certificates": ""}), "No certificate in trust bundle"),
    ],
)
def test_without_a_trust_bundle_there_is_no_client(
    answer: tuple[int, Any], why: str, workload: Workload, set_environment: Callable[..., None]
) -> None:
    set_environment(ON_A_DEVICE, IOTEDGE_WORKLOADURI=workload.uri)
    workload.trust_bundle = answer
    with pytest.raises(OSError, match=f"^Unexpected failure in IoTEdge: {why}") as caught:
        IoTHubModuleClient.create_from_edge_environment()
    assert isinstance(caught.value.__cause__, IoTEdgeError)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, {"message": "Module not found"}), "Unable to sign data: .* 404 Module not found"),
        ((200, "no JSON"), "Unable to decode signed data"),
        ((200, {}), "No signed data received"),
    ],
)
def test_without_a_signature_there_is_no_client(
    answer: tuple[int, Any], why: str, workload: Workload, set_environment: Callable[..., None]
) -> None:
    set_environment(ON_A_DEVICE, IOTEDGE_WORKLOADURI=workload.uri)
    workload.sign = answer
    sentence = "Could not create a SasToken using the values provided, or in the Edge environment"
    with pytest.raises(ValueError, match=f"^{sentence}: {why}") as caught:
        IoTHubModuleClient.create_from_edge_environment()
    cause = caught.value.__cause__
    assert isinstance(cause, SasTokenError)
    assert str(cause) == "Unable to build SasToken from given values"
    assert isinstance(cause.__cause__, IoTEdgeError)


@pytest.mark.parametrize("uri", ["unix:///does/not/exist.sock", "http://127.0.0.1:9"])
def test_a_runtime_that_is_not_there_is_named(uri: str, set_environment: Callable[..., None]) -> None:
    set_environment(ON_A_DEVICE, IOTEDGE_WORKLOADURI=uri)
    with pytest.raises(OSError, match=uri.split("://", 1)[1]):
        IoTHubModuleClient.create_from_edge_environment()


@pytest.mark.parametrize("missing", [*ON_A_DEVICE, "IOTEDGE_WORKLOADURI"])
def test_an_incomplete_environment_is_told(missing: str, set_environment: Callable[..., None]) -> None:
    variables = {**ON_A_DEVICE, "IOTEDGE_WORKLOADURI": "unix:///run/workload.sock"}
    del variables[missing]
    set_environment(variables)
    with pytest.raises(OSError, match=f"^IoT Edge environment not configured correctly: {missing} ") as caught:
        IoTHubModuleClient.create_from_edge_environment()
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_address_of_another_form_is_told(set_environment: Callable[..., None]) -> None:
    set_environment(ON_A_DEVICE, IOTEDGE_WORKLOADURI="/run/workload.sock")
    with pytest.raises(OSError, match=r"IOTEDGE_WORKLOADURI can't be used: .*unix:///path"):
        IoTHubModuleClient.create_from_edge_environment()


@pytest.mark.parametrize("name", ["server_verification_cert", "gateway_hostname", "surprise"])
def test_what_the_environment_says_is_no_argument(name: str) -> None:
    with pytest.raises(TypeError, match=f"^Unsupported keyword argument: '{name}'$"):
        IoTHubModuleClient.create_from_edge_environment(**{name: "x"})


def test_a_debugger_has_a_connection_string_instead(edge: LocalHub, set_environment: Callable[..., None]) -> None:
    text = edge.module_connection_string(DEVICE, MODULE)
    host_name = text.removeprefix("HostName=").partition(";")[0]
    # The hub's name in user name and token; the gateway is connected to.
    text = text.replace(host_name, "localhost", 1) + f";GatewayHostName={host_name}"
    set_environment(dict(zip(IN_A_DEBUGGER, (text, edge.ca_file))))
    client = IoTHubModuleClient.create_from_edge_environment()
    client.send_message("debugged")
    client.shutdown()
    assert [message.body for message in edge.telemetry()] == [b"debugged"]


COMPLETE = "HostName=h;DeviceId=d;ModuleId=m;GatewayHostName=g;SharedAccessKey=Zm9vYmFy"


@pytest.mark.parametrize(
    ("text", "ca_file", "error", "why"),
    [
        (COMPLETE, "/does/not/exist.pem", FileNotFoundError, "/does/not/exist.pem"),
        (COMPLETE, "/", ValueError, "^Invalid CA certificate file"),
        (COMPLETE.replace("ModuleId=m;", ""), os.devnull, ValueError, "^Invalid Connection String.*ModuleId"),
        (COMPLETE.replace("GatewayHostName=g;", ""), os.devnull, ValueError, "^Invalid Connection String.*Gateway"),
        (COMPLETE.replace("DeviceId=d;", ""), os.devnull, ValueError, "^Invalid Connection String"),
    ],
)
def test_what_a_debugger_says_is_checked(
    text: str, ca_file: str, error: type[Exception], why: str, set_environment: Callable[..., None]
) -> None:
    set_environment(dict(zip(IN_A_DEBUGGER, (text, ca_file))))
    with pytest.raises(error, match=why) as caught:
        IoTHubModuleClient.create_from_edge_environment()
    assert "Zm9vYmFy" not in str(caught.value)


def test_ctrl_c_ends_the_wait_for_the_runtime(workload: Workload) -> None:
    workload.trust_bundle = None
    program = "from azure.iot.device import IoTHubModuleClient; IoTHubModuleClient.create_from_edge_environment()"
    environment = {**ON_A_DEVICE, "IOTEDGE_WORKLOADURI": workload.uri}
    with Program(sys.executable, "-c", program, env=environment) as module:
        workload.requests.get(timeout=SECONDS)
        module.interrupt()
        ended = module.finish(SECONDS)
    assert ended.err.splitlines()[-1] == "KeyboardInterrupt"


def test_only_modules_with_keys_have_a_workload_api(edge: LocalHub, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="nobody"):
        edge.edge_workload(DEVICE, "nobody")
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(OSError, match=str(taken)):
        edge.edge_workload(DEVICE, MODULE, taken)
    assert taken.exists()
