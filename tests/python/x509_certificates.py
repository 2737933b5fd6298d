"""Certificates of devices as people make them with `openssl`.

For programs that also run under the Python that has Microsoft's packages: nothing here needs ours.
"""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from pathlib import Path
from typing import Union

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder: Path, *arguments: Union[str, Path]) -> None:
    """Run `openssl` there."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


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
