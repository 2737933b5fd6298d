"""Which way requests go, and whom they trust: proxies, bundles of certificates, and what must never interfere."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from ferrohub.service import ClientRequestError, IoTHubRegistryManager, RetryPolicy
from recording_hub import Certificates, RecordingHub

ELSEWHERE = "HostName=hub.invalid;SharedAccessKeyName=n;SharedAccessKey=Zm9vYmFy"
NOT_THERE = "http://127.0.0.1:9"


def asks_elsewhere() -> None:
    """Ask a hub that is not on this machine. The recorder's certificate is not its own, so an error comes anyway."""
    manager = IoTHubRegistryManager(ELSEWHERE, retry=RetryPolicy(attempts=1))
    with pytest.raises(ClientRequestError):
        manager.get_device("d")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_of_the_environment_is_used(
    variable: str, recorder: RecordingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"http://127.0.0.1:{recorder.port}")
    asks_elsewhere()
    assert recorder.connections == 1


def test_a_proxy_that_refuses_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{proxy.getsockname()[1]}")
        threading.Thread(target=_refuse, args=(proxy, 2), daemon=True).start()
        manager = IoTHubRegistryManager(ELSEWHERE, retry=RetryPolicy(attempts=2, backoff=0.01))
        # A way that was not opened: nothing has been sent, and every verb is tried again.
        with pytest.raises(ClientRequestError, match="ProxyError: the proxy that HTTPS_PROXY names") as caught:
            manager.update_twin("d", {})
    assert "secret" not in str(caught.value)


def _refuse(proxy: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = proxy.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def test_a_proxy_that_is_not_there_is_named_in_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", NOT_THERE)
    manager = IoTHubRegistryManager(ELSEWHERE, retry=RetryPolicy(attempts=1))
    with pytest.raises(ClientRequestError, match="and the proxy that HTTPS_PROXY names"):
        manager.get_device("d")


@pytest.mark.parametrize("proxy", ["foo://user:secret@proxy:1", "http://", "::", "http://a b:1"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_is_none_is_refused_and_not_passed_by(
    variable: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy)
    manager = IoTHubRegistryManager(ELSEWHERE)
    with pytest.raises(ClientRequestError, match=f"ProxyError: {variable} names no proxy that can be used") as caught:
        manager.get_device("d")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "hub.invalid")
    with pytest.raises(ClientRequestError, match=r"ConnectionError: could not connect to hub\.invalid:443"):
        IoTHubRegistryManager(ELSEWHERE, retry=RetryPolicy(attempts=1)).get_device("d")


@pytest.mark.parametrize("no_proxy", ["hub.invalid", ".invalid", "*"])
def test_no_proxy_is_used_for_hosts_that_no_proxy_names(
    no_proxy: str, recorder: RecordingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{recorder.port}")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    asks_elsewhere()
    assert recorder.connections == 0


def test_a_hub_of_this_machine_is_reached_without_a_proxy(
    recorder: RecordingHub, manager: IoTHubRegistryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", NOT_THERE)
    manager.get_device("d")
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_of_the_environment_is_trusted(
    variable: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificates.ca))
    with RecordingHub(certificates) as recorder:
        IoTHubRegistryManager(recorder.connection_string()).get_device("d")
        assert len(recorder.requests) == 1


def test_netrc_never_replaces_the_signature(
    recorder: RecordingHub, manager: IoTHubRegistryManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine localhost login someone password secret\ndefault login other password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    manager.get_device("d")
    sent = {name.lower(): value for name, value in recorder.requests[0].headers.items()}
    assert sent["authorization"].startswith("SharedAccessSignature sr=localhost")
