"""Whom the hub's certificates convince: every Python's ssl, requests, our clients; and whom they must not.

And what our clients make of a server whose certificate nobody has signed but itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import requests
from azure.iot.device import IoTHubDeviceClient
from azure.iot.device.exceptions import ClientError
from ferrohub import LocalHub
from ferrohub.service import ClientRequestError, IoTHubRegistryManager
from other_pythons import find
from recording_hub import Certificates, RecordingHub
from support import own_network, run
from tls_hub import TlsHub
from x509_certificates import EC, openssl

HANDSHAKE = """
import socket, ssl, sys
address, port, ca_file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=ca_file)
with socket.create_connection((address, port), timeout=10) as plain:
    with context.wrap_socket(plain, server_hostname=address) as secure:
        print(secure.version())
"""


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "::1"])
def test_every_python_trusts_it_with_the_ca(version: str, address: str, hub: LocalHub) -> None:
    python = find(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    ran = run(python, "-c", HANDSHAKE, address, str(hub.port), hub.ca_file)
    assert ran.code == 0, ran.err
    assert ran.out == "TLSv1.3\n"


def test_requests_trusts_it_with_the_ca(hub: LocalHub) -> None:
    url = f"https://localhost:{hub.port}/devices?api-version=2021-04-12"
    assert requests.get(url, verify=hub.ca_file, timeout=10).status_code == 401


def test_nobody_trusts_it_without_the_ca(hub: LocalHub) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://localhost:{hub.port}/devices?api-version=2021-04-12", timeout=10)


def test_a_name_that_is_not_loopback_is_not_trusted_by_our_clients() -> None:
    program = Path(__file__).parent / "named_hub.py"
    name = "hub.example.test"
    ran = run(*own_network([sys.executable, program, name], hosts=f"127.0.0.1 {name}"))
    assert ran.code == 0, ran.err
    untrusted, trusted = ran.out.splitlines()
    assert untrusted.startswith("ClientRequestError")
    assert "certificate" in untrusted.lower()
    assert trusted == "[]"


# --- a server with a certificate of its own ---

# As `openssl req -x509` makes them, a certificate is its own CA's.
EXTENSIONS = "basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:{}\n"
SELF_SIGNED = {
    "good": ("localhost", 2),
    "another": ("localhost", 2),
    "of another name": ("elsewhere.example", 2),
    "expired": ("localhost", -1),
}
# Why one is refused, and which one is trusted then.
REFUSED = {
    "another": ("UnknownIssuer", "good"),
    "of another name": ("not valid for name", "of another name"),
    "expired": ("Expired", "expired"),
}


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each a folder with server.pem, server.key and, to be trusted, ca.pem."""
    folder = tmp_path_factory.mktemp("self-signed")
    for name, (host, days) in SELF_SIGNED.items():
        made = folder / name
        made.mkdir()
        (made / "extensions").write_text(EXTENSIONS.format(host))
        openssl(made, "req", *EC, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={host}")
        signed = ("-signkey", "server.key", "-days", str(days), "-extfile", "extensions")
        openssl(made, "x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed)
        (made / "ca.pem").write_bytes((made / "server.pem").read_bytes())
    return folder


def shown(folder: Path) -> RecordingHub:
    """A hub that shows this certificate."""
    return RecordingHub(Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key"))


def device(host: str, trusted: Path) -> IoTHubDeviceClient:
    text = f"HostName={host};DeviceId=d;SharedAccessKey=Zm9vYmFy"
    return IoTHubDeviceClient.create_from_connection_string(text, server_verification_cert=trusted.read_text())


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_self_signed_server_that_the_environment_names_is_trusted(
    variable: str, self_signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The variable counts for clients that are made from now on, though others were made before.
    monkeypatch.setenv(variable, str(self_signed / "good" / "ca.pem"))
    with shown(self_signed / "good") as hub, IoTHubRegistryManager(hub.connection_string()) as manager:
        manager.get_device("d")
    assert len(hub.requests) == 1


def test_a_self_signed_server_that_a_device_trusts_is_trusted(self_signed: Path) -> None:
    with TlsHub(self_signed / "good") as hub:
        client = device(hub.host_name, self_signed / "good" / "ca.pem")
        client.connect()
        assert hub.shown().client_id == "d"
        client.shutdown()


@pytest.mark.parametrize("name", REFUSED)
def test_another_of_another_name_or_of_another_time_is_not(
    name: str, self_signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, trusted = REFUSED[name]
    ca_file = self_signed / trusted / "ca.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    with shown(self_signed / name) as hub:
        with IoTHubRegistryManager(hub.connection_string()) as manager, pytest.raises(ClientRequestError, match=reason):
            manager.get_device("d")
        client = device(f"localhost:{hub.port}", ca_file)
        with pytest.raises(ClientError, match=reason):
            client.connect()
        client.shutdown()
    assert hub.requests == []
