"""Fixtures of the device tests: certificates made anew for a session, and a hub that looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_without_secrets import watched
from recording_hub import make_certificates
from tls_hub import TlsHub
from x509_certificates import openssl


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and server.key, and a device's certificate and key of several kinds.

    `dev1.pem` is signed by the CA for `dev1.key` (ECDSA, PKCS#8), `rsa.pem` for `rsa.key`; X.509 version 1.
    """
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    for name, algorithm in (
        ("dev1", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("rsa", ["-newkey", "rsa:2048"]),
    ):
        openssl(
            folder, "req", *algorithm, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=dev1"
        )
        openssl(
            folder,
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-out",
            f"{name}.pem",
        )
    return folder


@pytest.fixture
def tls_hub(certificates: Path) -> Iterator[TlsHub]:
    """A hub of its own for the test."""
    with TlsHub(certificates) as hub:
        yield hub


@pytest.fixture(autouse=True)
def no_secret_in_the_log() -> Iterator[None]:
    """Whatever a test of devices does: its log is written at DEBUG, and holds no key and no token."""
    with watched():
        yield
