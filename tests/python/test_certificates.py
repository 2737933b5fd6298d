"""Whom the hub's certificates convince: every Python's ssl, requests, our clients; and whom they must not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import requests
from ferrohub import LocalHub
from other_pythons import find
from support import own_network, run

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
