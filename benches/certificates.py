"""The certificates of brokers other than the hub: a CA of this run, and a server for loopback addresses."""

from __future__ import annotations

import subprocess
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
"""The kind of key that the local hub has too: no broker works harder than the other in a handshake."""


def make_certificates(folder: Path, addresses: tuple[str, ...]) -> None:
    """Write `ca.pem`, and `server.pem` and `server.key` for these addresses; valid for two days."""
    names = ",".join(f"IP:{address}" for address in addresses)
    server = f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=serverAuth\n"
    (folder / "server.extensions").write_text(server)
    ca = ("req", "-x509", *NEW_KEY, "-days", "2", "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem")
    _openssl(folder, *ca, "-addext", "keyUsage=critical,keyCertSign")
    _openssl(folder, "req", *NEW_KEY, "-subj", "/CN=broker", "-keyout", "server.key", "-out", "server.csr")
    signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "server.extensions")
    _openssl(folder, "x509", "-req", "-days", "2", "-in", "server.csr", "-out", "server.pem", *signer)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)
