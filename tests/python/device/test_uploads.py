"""File upload: what a device's calls promise, and what the local hub's blob endpoint does."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import X509, IoTHubDeviceClient, aio
from azure.iot.device.exceptions import ClientError, ConnectionFailedError, OperationTimeout, ServiceError
from azure.iot.hub import IoTHubRegistryManager
from blob_peer import BLOCK_BLOB, ask_blob, put_blob
from ferrohub import LocalHub
from http_proxy import HttpProxy
from recording_hub import Answer, RecordingHub, make_certificates
from support import ROOT, run
from x509_certificates import make_certificate, thumbprint

DEVICE = "dev1"

Call = Callable[..., Any]


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    """A device's on a hub of the test's own."""
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    return hub.device_connection_string(DEVICE)


@pytest.fixture
def client(connection_string: str) -> Iterator[IoTHubDeviceClient]:
    """That device."""
    with IoTHubDeviceClient.create_from_connection_string(connection_string) as client:
        yield client


@pytest.fixture(params=["sync", "aio"])
def call(request: pytest.FixtureRequest) -> Callable[[str, str, dict[str, Any], tuple[Any, ...], float], Any]:
    """Makes a client, calls this method of it with a timeout, and shuts it down."""

    def synchronous(text: str, method: str, options: dict[str, Any], args: tuple[Any, ...], timeout: float) -> Any:
        with IoTHubDeviceClient.create_from_connection_string(text, **options) as client:
            return getattr(client, method)(*args, timeout=timeout)

    async def asynchronous(
        text: str, method: str, options: dict[str, Any], args: tuple[Any, ...], timeout: float
    ) -> Any:
        async with aio.IoTHubDeviceClient.create_from_connection_string(text, **options) as client:
            return await getattr(client, method)(*args, timeout=timeout)

    if request.param == "sync":
        return synchronous
    return lambda *args: asyncio.run(asynchronous(*args))


def refusal(error: pytest.ExceptionInfo[ClientError]) -> ServiceError:
    """The service's error behind a client's, whose text it repeats."""
    cause = error.value.__cause__
    assert isinstance(cause, ServiceError)
    assert str(error.value) == f"Unexpected failure: {cause}"
    return cause


def test_a_refusal_has_the_official_sentence_and_the_hubs_reason(call: Call, connection_string: str) -> None:
    with pytest.raises(ClientError) as error:
        call(connection_string, "notify_blob_upload_status", {}, ("nothing", True, 200, ""), 20)
    cause = refusal(error)
    assert cause.status == 400
    assert str(cause) == (
        "HTTP operation returned: 400 ArgumentError(Error: Bad Request): InvalidFileUploadCorrelationId:"
        f" No file upload of '{DEVICE}' has the correlation id 'nothing'."
    )


def test_a_device_that_is_gone_is_refused(client: IoTHubDeviceClient, registry: IoTHubRegistryManager) -> None:
    registry.delete_device(DEVICE)
    with pytest.raises(ClientError) as error:
        client.get_storage_info_for_blob("a")
    assert refusal(error).status == 401


def test_ten_uploads_may_be_under_way(client: IoTHubDeviceClient) -> None:
    infos = [client.get_storage_info_for_blob(f"file {number}") for number in range(10)]
    with pytest.raises(ClientError, match=r"403 TooManyDevicesError.*Number of active file upload requests") as error:
        client.get_storage_info_for_blob("one more")
    assert refusal(error).status == 403
    client.notify_blob_upload_status(infos[3]["correlationId"], False, 500, "the camera is broken")
    client.get_storage_info_for_blob("one more")


def test_a_failed_upload_is_told_without_a_file(client: IoTHubDeviceClient, hub: LocalHub) -> None:
    info = client.get_storage_info_for_blob("a")
    client.notify_blob_upload_status(info["correlationId"], False, 500, "the camera is broken")
    (told,) = hub.file_notifications()
    assert (told.is_success, told.status_code, told.status_description) == (False, 500, "the camera is broken")
    assert (told.blob_name, told.blob_size, told.last_updated_time) == ("dev1/a", None, None)
    assert hub.blobs() == []
    with pytest.raises(LookupError, match="no file 'dev1/a' has been uploaded"):
        hub.blob("dev1/a")
    with pytest.raises(ClientError, match="InvalidFileUploadCorrelationId"):
        client.notify_blob_upload_status(info["correlationId"], True, 200, "again")


def test_an_upload_has_an_hour(client: IoTHubDeviceClient, hub: LocalHub) -> None:
    info = client.get_storage_info_for_blob("a")
    # A minute less, and the device's own token would not have expired either.
    hub.faults.move_clock(3600)
    assert ask_blob(info, "PUT", "", b"late", BLOCK_BLOB)[0] == 403
    hub.faults.move_clock(-3600)
    put_blob(info, b"in time")


def test_a_token_is_good_for_its_own_file_only(client: IoTHubDeviceClient) -> None:
    mine, other = client.get_storage_info_for_blob("mine"), client.get_storage_info_for_blob("other")
    put_blob(mine, b"x")
    status, headers, body = ask_blob({**mine, "blobName": other["blobName"]})
    assert (status, headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
    assert b"<Code>AuthenticationFailed</Code>" in body
    assert ask_blob({**mine, "sasToken": "?sp=rw"})[0] == 401
    assert ask_blob({**mine, "sasToken": mine["sasToken"].replace("sp=rw", "sp=rwd")})[0] == 403
    assert ask_blob(mine, "DELETE")[0] == 501


def test_a_file_is_read_whole_and_in_parts(client: IoTHubDeviceClient) -> None:
    info = client.get_storage_info_for_blob("a")
    assert ask_blob(info)[0] == 404
    put_blob(info, b"0123456789")
    status, headers, body = ask_blob(info)
    assert (status, body, headers["x-ms-blob-type"]) == (200, b"0123456789", "BlockBlob")
    status, headers, body = ask_blob(info, headers={"x-ms-range": "bytes=2-3"})
    assert (status, body, headers["content-range"]) == (206, b"23", "bytes 2-3/10")
    assert ask_blob(info, headers={"Range": "bytes=10-"})[0] == 416
    status, headers, body = ask_blob(info, "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", "10")


def test_a_file_may_come_in_blocks(client: IoTHubDeviceClient, hub: LocalHub) -> None:
    info = client.get_storage_info_for_blob("a")
    for number, content in (("AQ==", b"one"), ("Ag==", b"two")):
        assert ask_blob(info, "PUT", f"&comp=block&blockid={number}", content)[0] == 201
    listed = b"<BlockList><Latest>Ag==</Latest><Latest>AQ==</Latest></BlockList>"
    assert ask_blob(info, "PUT", "&comp=blocklist", listed)[0] == 201
    assert hub.blob(info["blobName"]) == b"twoone"
    status, headers, _ = ask_blob(info, "PUT", "&comp=blocklist", listed)
    assert (status, headers["x-ms-error-code"]) == (400, "InvalidBlockList")


def test_names_that_no_file_can_have_are_refused(client: IoTHubDeviceClient) -> None:
    for name in ("", None, "a" * 1024, "a\n"):
        with pytest.raises(ClientError, match="400 ArgumentError") as error:
            client.get_storage_info_for_blob(name)  # type: ignore[arg-type]
        assert "blobName" in str(error.value)


def test_a_call_ends_at_its_time(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = f"HostName=localhost:{silent.getsockname()[1]};DeviceId=d;SharedAccessKey=Zm9vYmFy"
        with pytest.raises(OperationTimeout, match="Could not complete operation before timeout: localhost:"):
            call(text, "get_storage_info_for_blob", {}, ("a",), 0.1)


def test_a_hub_that_is_not_there_is_named(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = f"HostName=localhost:{port};DeviceId=d;SharedAccessKey=Zm9vYmFy"
    with pytest.raises(ConnectionFailedError, match=f"Could not connect to IoTHub: .*localhost:{port}"):
        call(text, "get_storage_info_for_blob", {}, ("a",), 20)


@pytest.mark.parametrize("body", [b"", b"<html>Welcome</html>", b"\xff"])
def test_an_answer_that_is_no_json_is_an_error_of_the_client(call: Call, tmp_path: Path, body: bytes) -> None:
    certificates = make_certificates(tmp_path)
    trust = {"server_verification_cert": certificates.ca.read_text()}
    with RecordingHub(certificates, Answer(body=body)) as stranger:
        text = f"HostName=localhost:{stranger.port};DeviceId=d;SharedAccessKey=Zm9vYmFy"
        with pytest.raises(ClientError, match="Error in the IoTHub client: what was answered is no JSON"):
            call(text, "get_storage_info_for_blob", trust, ("a",), 20)


def test_a_call_after_shutdown_is_refused_as_all_are(client: IoTHubDeviceClient) -> None:
    client.shutdown()
    with pytest.raises(ClientError, match="Pipeline is not running"):
        client.get_storage_info_for_blob("a")


def test_a_proxy_that_the_program_names_is_passed(call: Call, connection_string: str) -> None:
    with HttpProxy() as proxy:
        options = {"proxy_options": proxy.options()}
        info = call(connection_string, "get_storage_info_for_blob", options, ("a",), 20)
        assert (info["blobName"], proxy.targets) == ("dev1/a", [info["hostName"]])
        wrong = {"proxy_options": proxy.options("open rye")}
        with pytest.raises(ClientError, match=r"due to proxy connections\..*proxy authorization required") as error:
            call(connection_string, "get_storage_info_for_blob", wrong, ("a",), 20)
        assert "rye" not in str(error.value)


def test_the_example_uploads_a_file(hub: LocalHub, connection_string: str, tmp_path: Path) -> None:
    file = tmp_path / "a log.txt"
    file.write_bytes(b"all is well")
    env = {"DEVICE_CONNECTION_STRING": connection_string, "SSL_CERT_FILE": hub.ca_file}
    ran = run(sys.executable, ROOT / "examples" / "upload_file.py", file, env=env)
    assert (ran.code, ran.out, ran.err) == (0, "dev1/a log.txt 201 Created\n", "")
    (told,) = hub.file_notifications()
    assert (told.is_success, hub.blob(told.blob_name)) == (True, b"all is well")


def test_a_device_may_show_a_certificate(hub: LocalHub, registry: IoTHubRegistryManager, tmp_path: Path) -> None:
    make_certificate(tmp_path, "own", "certified")
    own = thumbprint(tmp_path / "own.pem", "sha1")
    registry.create_device_with_x509("certified", own, own, "enabled")
    x509 = X509(str(tmp_path / "own.pem"), str(tmp_path / "own.key"))
    host = f"localhost:{hub.port}"
    with IoTHubDeviceClient.create_from_x509_certificate(x509, host, "certified") as client:
        info = client.get_storage_info_for_blob("a")
        put_blob(info, b"x")
    assert hub.blobs() == ["certified/a"]
    stranger = IoTHubDeviceClient.create_from_x509_certificate(x509, host, "nobody")
    with stranger, pytest.raises(ClientError, match="401 UnauthorizedError"):
        stranger.get_storage_info_for_blob("a")
