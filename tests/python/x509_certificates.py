"""Certificates of devices as people make them with `openssl`, and the identities on a local hub that ask for them."""

from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path
from typing import Any

from ferrohub import LocalHub
from ferrohub._native import ServiceTransport
from tls_hub import openssl

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_ca(folder: Path, name: str) -> str:
    """A CA's certificate and key, `name.pem` and `name.key`; the certificate's text."""
    openssl(folder, "req", "-x509", *EC, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    return (folder / f"{name}.pem").read_text()


def make_certificate(folder: Path, name: str, common_name: str, ca: str | None = None, version: int = 3) -> None:
    """`name.pem` and `name.key`: self-signed, or signed by a CA of `make_ca`; valid for two days.

    `openssl x509 -req` makes certificates of version 1 unless it is given extensions.
    """
    subject = "/CN=" + common_name.replace("/", r"\/")
    openssl(folder, "req", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    signer = (
        ("-signkey", f"{name}.key") if ca is None else ("-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial")
    )
    extensions: tuple[str, ...] = ()
    if version == 3:
        (folder / "extensions").write_text("basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
        extensions = ("-extfile", "extensions")
    openssl(folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-out", f"{name}.pem", *signer, *extensions)


def thumbprint(certificate: Path, algorithm: str) -> str:
    """The thumbprint of a certificate, in hex."""
    return hashlib.new(algorithm, ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def create_identity(hub: LocalHub | str, device_id: str, module_id: str | None = None, **body: Any) -> None:
    """Create a device or module on a hub, or by its connection string; its identity has this besides its name."""
    connection_string = hub if isinstance(hub, str) else hub.connection_string
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    back_end = ServiceTransport(parts["HostName"], "tests", parts["SharedAccessKeyName"], parts["SharedAccessKey"])
    path, names = f"/devices/{device_id}", {"deviceId": device_id}
    if module_id is not None:
        path, names = f"{path}/modules/{module_id}", {**names, "moduleId": module_id}
    target, headers = f"{path}?api-version=2021-04-12", [("Content-Type", "application/json; charset=utf-8")]
    answer = back_end.request("PUT", target, headers, json.dumps({**names, **body}).encode())
    assert answer[0] == 200, answer


def by_thumbprint(primary: str, secondary: str | None = None) -> dict[str, Any]:
    """How an identity is authenticated that knows its certificates."""
    return {
        "authentication": {
            "type": "selfSigned",
            "x509Thumbprint": {"primaryThumbprint": primary, "secondaryThumbprint": secondary},
        }
    }


BY_CA: dict[str, Any] = {"authentication": {"type": "certificateAuthority"}}
BY_KEY: dict[str, Any] = {"authentication": {"type": "sas"}}
