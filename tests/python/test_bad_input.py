"""What a user can get wrong: the right exception, a text that says what to do and holds no key, no pile of frames."""

from __future__ import annotations

import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient
from azure.iot.device.exceptions import ClientError, ConnectionFailedError, CredentialError
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from ferrohub import LocalHub
from msrest.exceptions import ClientRequestError, HttpOperationError
from support import CREATE, DEVICE, MODULE, TUTORIAL, UPDATE, Argument, key_of, own_network, run

WRONG_KEY = "d3Jvbmcga2V5LCB3cm9uZyBrZXksIHdyb25nIGtleSE="


@dataclass
class Caught:
    """The error that came, and all its text."""

    error: BaseException = field(default_factory=BaseException)
    text: str = ""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def our_frames_below_the_user(error: BaseException) -> int:
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return sum(re.search(r"[/\\](_?ferrohub(_azure)?|dropin)[/\\]", name) is not None for name in files)


@contextmanager
def raises(expected: type[BaseException], *secrets: str) -> Iterator[Caught]:
    """As pytest.raises; also: at most one frame of ours, no secret in any text, of its causes neither."""
    caught = Caught()
    with pytest.raises(expected) as info:
        yield caught
    caught.error, caught.text = info.value, str(info.value)
    assert our_frames_below_the_user(info.value) <= 1, "".join(traceback.format_tb(info.value.__traceback__))
    everything = "".join(f"{error!s} {error!r} {error.args!r}" for error in chain(info.value))
    for secret in (*secrets, WRONG_KEY):
        assert secret not in everything
    assert "sig=" not in everything


def with_key(connection_string: str, key: str) -> str:
    return re.sub(r"SharedAccessKey=[^;]+", f"SharedAccessKey={key}", connection_string)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- connection strings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create", [IoTHubRegistryManager, IoTHubRegistryManager.from_connection_string])
def test_placeholder_left_in_service(create: Callable[[str], object]) -> None:
    with raises(ValueError) as caught:
        create("YourIotHubConnectionString")
    assert "connection string" in caught.text.lower()


def test_placeholder_left_in_module() -> None:
    with raises(ValueError) as caught:
        IoTHubModuleClient.create_from_connection_string("YourModuleConnectionString")
    assert caught.text.startswith("Invalid Connection String")


@pytest.mark.parametrize("name", [CREATE, UPDATE])
def test_placeholder_left_in_the_script(name: str) -> None:
    if not TUTORIAL.exists():
        pytest.skip(f"the tutorial's scripts are not in {TUTORIAL}: set FERROHUB_TUTORIAL")
    ran = run(sys.executable, TUTORIAL / name)
    assert ran.err == ""
    assert ran.out.startswith("Unexpected error")
    assert "connection string" in ran.out.lower()


def test_device_connection_string_given_to_the_service(hub: LocalHub, registry: IoTHubRegistryManager) -> None:
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    of_device = hub.device_connection_string(DEVICE)
    with raises((KeyError, ValueError), key_of(of_device)) as caught:  # type: ignore[arg-type]
        IoTHubRegistryManager(of_device)
    assert "SharedAccessKeyName" in caught.text


@pytest.mark.parametrize("client", [IoTHubModuleClient, IoTHubDeviceClient])
def test_service_connection_string_given_to_a_client(
    hub: LocalHub, client: type[IoTHubModuleClient | IoTHubDeviceClient]
) -> None:
    with raises((KeyError, ValueError), key_of(hub.connection_string)) as caught:  # type: ignore[arg-type]
        client.create_from_connection_string(hub.connection_string)
    assert "DeviceId" in caught.text


# --- refused by the hub -------------------------------------------------------------------------------------------


def test_wrong_key_of_the_service(hub: LocalHub) -> None:
    registry = IoTHubRegistryManager(with_key(hub.connection_string, WRONG_KEY))
    with raises(HttpOperationError, key_of(hub.connection_string)) as caught:
        registry.get_device(DEVICE)
    assert isinstance(caught.error, HttpOperationError)
    assert caught.error.response.status_code == 401
    assert caught.text.startswith("Operation returned an invalid status code 'Unauthorized'")
    assert "IotHubUnauthorizedAccess" in caught.text


def test_wrong_key_of_a_module(module_connection_string: str) -> None:
    client = IoTHubModuleClient.create_from_connection_string(with_key(module_connection_string, WRONG_KEY))
    with raises(CredentialError, key_of(module_connection_string)) as caught:
        client.connect()
    assert caught.text.startswith("Credentials invalid, could not connect")
    assert caught.error.__cause__ is not None
    client.shutdown()


def test_unknown_device_asked_of_the_service(registry: IoTHubRegistryManager) -> None:
    with raises(HttpOperationError) as caught:
        registry.get_device("nobody")
    assert isinstance(caught.error, HttpOperationError)
    assert caught.error.response.status_code == 404
    assert caught.text.startswith("Operation returned an invalid status code 'Not Found'")
    assert "DeviceNotFound" in caught.text
    assert "nobody" in caught.text


def test_unknown_device_that_connects(hub: LocalHub) -> None:
    key = key_of(hub.connection_string)
    client = IoTHubDeviceClient.create_from_connection_string(
        f"HostName={hub.host_name}:{hub.port};DeviceId=nobody;SharedAccessKey={key}"
    )
    with raises(CredentialError, key) as caught:
        client.connect()
    assert caught.text.startswith("Credentials invalid, could not connect")
    client.shutdown()


@pytest.mark.usefixtures("module_connection_string")
def test_stale_etag(registry: IoTHubRegistryManager) -> None:
    patch = Twin(properties=TwinProperties(desired={"telemetryInterval": 1}))
    stale = registry.get_module_twin(DEVICE, MODULE).etag
    registry.update_module_twin(DEVICE, MODULE, patch, stale)
    with raises(HttpOperationError) as caught:
        registry.update_module_twin(DEVICE, MODULE, patch, stale)
    assert isinstance(caught.error, HttpOperationError)
    assert caught.error.response.status_code == 412
    assert caught.text.startswith("Operation returned an invalid status code 'Precondition Failed'")
    assert registry.get_module_twin(DEVICE, MODULE).properties.desired["$version"] == 2


# --- no hub -------------------------------------------------------------------------------------------------------


def test_hub_not_running_for_the_service() -> None:
    port = free_port()
    registry = IoTHubRegistryManager(
        f"HostName=localhost:{port};SharedAccessKeyName=iothubowner;SharedAccessKey={WRONG_KEY}"
    )
    with raises(ClientRequestError) as caught:
        registry.get_device(DEVICE)
    assert caught.text.startswith("Error occurred in request., ConnectionError:")
    assert str(port) in caught.text


def test_hub_not_running_for_a_module() -> None:
    client = IoTHubModuleClient.create_from_connection_string(
        f"HostName=localhost:{free_port()};DeviceId={DEVICE};ModuleId={MODULE};SharedAccessKey={WRONG_KEY}"
    )
    with raises(ConnectionFailedError) as caught:
        client.connect()
    assert caught.text.startswith("Could not connect to IoTHub")
    assert "`ferrohub up`" in caught.text
    assert caught.error.__cause__ is not None
    client.shutdown()


def test_hub_stopped_midway() -> None:
    with LocalHub(process=True) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        client = IoTHubDeviceClient.create_from_connection_string(
            hub.device_connection_string(DEVICE), connection_retry=False
        )
        client.connect()
        client.get_twin()
        hub.kill()
        with raises(ClientRequestError, key_of(hub.connection_string)) as caught:
            registry.get_device(DEVICE)
        assert caught.text.startswith("Error occurred in request.,")
        with raises(ClientError):
            client.get_twin()
        client.shutdown()


# --- the local hub itself -----------------------------------------------------------------------------------------


def test_port_taken_for_a_local_hub(hub: LocalHub) -> None:
    with raises(OSError) as caught, LocalHub(port=hub.port):
        pass
    assert str(hub.port) in caught.text


def test_port_taken_for_the_command(hub: LocalHub) -> None:
    ran = run(sys.executable, "-m", "ferrohub", "up", "--port", str(hub.port))
    assert ran.code != 0
    assert str(hub.port) in ran.err
    assert "Traceback" not in ran.err


def test_data_file_another_hub_has_open(tmp_path: Path) -> None:
    data = tmp_path / "hub.data"
    with LocalHub(data=data, process=True), raises(OSError) as caught, LocalHub(data=data):
        pass
    assert str(data) in caught.text


OPEN = """
import sys
from ferrohub import LocalHub
try:
    with LocalHub(data=sys.argv[1]):
        pass
except OSError as error:
    print(error)
"""


def test_unreadable_data_file(tmp_path: Path) -> None:
    data = tmp_path / "hub.data"
    with LocalHub(data=data):
        pass
    command: list[Argument] = [sys.executable, "-c", OPEN, data]
    if os.geteuid() == 0:
        # Root reads everything, but not as the root of a user namespace in which the owner does not exist.
        os.chown(data, 65534, 65534)
        command = own_network(command)
    else:
        data.chmod(0)
    ran = run(*command)
    assert ran.err == ""
    assert str(data) in ran.out
    assert "ermission denied" in ran.out


def test_folder_as_data_file(tmp_path: Path) -> None:
    with raises(OSError) as caught, LocalHub(data=tmp_path):
        pass
    assert str(tmp_path) in caught.text


@pytest.mark.parametrize("content", [b"", b"no hub wrote this", b"\0" * 100_000], ids=["empty", "text", "zeros"])
def test_corrupt_data_file(tmp_path: Path, content: bytes) -> None:
    data = tmp_path / "hub.data"
    data.write_bytes(content)
    if not content:
        with LocalHub(data=data):  # An empty file holds nothing to lose: `mktemp` made it.
            return
    with raises(OSError) as caught, LocalHub(data=data):
        pass
    assert str(data) in caught.text
    assert data.read_bytes() == content, "a file that isn't ours is left alone"
