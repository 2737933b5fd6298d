"""What clients promise where only the web may pass: WebSockets, proxies, and both."""

from __future__ import annotations

import asyncio
import queue
from pathlib import Path
from typing import Any, Union

import pytest
from azure.iot.device import IoTHubDeviceClient, ProxyOptions, aio
from azure.iot.device.common.transport_exceptions import ProtocolProxyError
from azure.iot.device.exceptions import ClientError
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from ferrohub import LocalHub
from http_proxy import PASSWORD, HttpProxy
from support import DEVICE

SECONDS = 20
"""No test waits longer than this for anything."""


def desire(hub: LocalHub, value: int) -> None:
    registry = IoTHubRegistryManager.from_connection_string(hub.connection_string)
    registry.update_twin(DEVICE, Twin(properties=TwinProperties(desired={"value": value})), None)


def bodies(hub: LocalHub) -> list[bytes]:
    return [message.body for message in hub.telemetry()]


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    return hub.device_connection_string(DEVICE)


def test_a_client_with_websockets_sends_reports_and_follows_its_twin(hub: LocalHub, connection_string: str) -> None:
    client = IoTHubDeviceClient.create_from_connection_string(connection_string, websockets=True)
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put
    client.connect()
    client.send_message("a" * 200_000)
    client.patch_twin_reported_properties({"reported": 1})
    desire(hub, 1)
    assert patches.get(timeout=SECONDS) == {"value": 1, "$version": 2}
    twin = client.get_twin()
    assert (twin["desired"]["value"], twin["reported"]["reported"]) == (1, 1)
    assert bodies(hub) == [b"a" * 200_000]
    client.shutdown()


def test_an_asyncio_client_with_websockets_does_the_same(hub: LocalHub, connection_string: str) -> None:
    async def program() -> None:
        client = aio.IoTHubDeviceClient.create_from_connection_string(connection_string, websockets=True)
        await client.connect()
        await asyncio.gather(*(client.send_message(str(number)) for number in range(100)))
        await client.patch_twin_reported_properties({"reported": 1})
        assert (await client.get_twin())["reported"]["reported"] == 1
        await client.shutdown()

    asyncio.run(asyncio.wait_for(program(), SECONDS))
    assert sorted(bodies(hub)) == sorted(str(number).encode() for number in range(100))


def test_a_client_with_websockets_is_back_after_the_hub_is_and_has_missed_nothing(tmp_path: Path) -> None:
    with LocalHub(data=tmp_path / "data", process=True) as hub:
        registry = IoTHubRegistryManager.from_connection_string(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        client = IoTHubDeviceClient.create_from_connection_string(
            hub.device_connection_string(DEVICE), websockets=True, connection_retry_interval=1
        )
        patches: queue.Queue[dict[str, Any]] = queue.Queue()
        states: queue.Queue[bool] = queue.Queue()
        client.on_twin_desired_properties_patch_received = patches.put
        client.connect()
        client.get_twin()  # by now the client knows which version it has seen
        client.on_connection_state_change = lambda: states.put(client.connected)
        hub.kill()
        assert states.get(timeout=SECONDS) is False
        hub.restart()
        desire(hub, 1)
        assert states.get(timeout=SECONDS) is True
        assert patches.get(timeout=SECONDS)["value"] == 1
        client.send_message("back")
        assert bodies(hub) == [b"back"]
        client.shutdown()


@pytest.mark.parametrize("websockets", [False, True])
def test_a_client_goes_through_the_proxy_that_the_program_names(
    hub: LocalHub, connection_string: str, websockets: bool
) -> None:
    with HttpProxy() as proxy:
        client = IoTHubDeviceClient.create_from_connection_string(
            connection_string, websockets=websockets, proxy_options=proxy.options()
        )
        client.send_message("through")
        assert bodies(hub) == [b"through"]
        assert proxy.targets == [f"localhost:{hub.port}"]
        client.shutdown()


def test_a_proxy_that_refuses_its_user_is_the_official_error(connection_string: str) -> None:
    with HttpProxy() as proxy:
        client = IoTHubDeviceClient.create_from_connection_string(
            connection_string, proxy_options=proxy.options("wrong " + PASSWORD)
        )
        with pytest.raises(ClientError, match=r"due to proxy connections\..* 407 ") as raised:
            client.connect()
    assert str(raised.value).startswith("Error in the IoTHub client raised due to proxy connections.")
    assert isinstance(raised.value.__cause__, ProtocolProxyError)
    assert PASSWORD not in str(raised.value)
    client.shutdown()


@pytest.mark.parametrize("kind", ["HTTP", "SOCKS4", "SOCKS5"])
def test_a_proxy_of_another_type_is_an_error_and_no_hang(hub: LocalHub, connection_string: str, kind: str) -> None:
    # The hub is none: it says in HTTP that it speaks TLS.
    client = IoTHubDeviceClient.create_from_connection_string(
        connection_string, proxy_options=ProxyOptions(kind, "localhost", hub.port)
    )
    with pytest.raises(ClientError, match="due to proxy connections"):
        client.connect()
    client.shutdown()


def test_the_environment_names_no_proxy_for_a_client(
    hub: LocalHub, connection_string: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "mqtt_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    client = IoTHubDeviceClient.create_from_connection_string(connection_string, websockets=True)
    client.send_message("direct")
    assert bodies(hub) == [b"direct"]
    client.shutdown()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (ProxyOptions("HTTP", "p", 70000), ValueError),
        (ProxyOptions("HTTP", "", 8080), ValueError),
        ("http://p:8080", AttributeError),
    ],
)
def test_what_is_no_proxy_is_refused_by_the_factory(options: Union[ProxyOptions, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        IoTHubDeviceClient.create_from_connection_string(
            "HostName=h;DeviceId=d;SharedAccessKey=Zm9vYmFy", proxy_options=options
        )
