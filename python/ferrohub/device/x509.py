"""A device's certificate, for devices that have one instead of a shared access key."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Path = Union[str, bytes]


class X509:
    """A certificate with its chain, and its private key, each a PEM file. Nothing of it can be changed.

    The files are read when a client is made. The key may be PKCS#8 (also encrypted), PKCS#1 or SEC1; without a
    `key_file` it stands in `cert_file`.
    https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-x509
    """

    def __init__(self, cert_file: Path, key_file: Path | None, pass_phrase: str | bytes | None = None) -> None:
        self._cert_file: Path | None = cert_file
        self._key_file = key_file
        self._pass_phrase = pass_phrase
        self._certificate_pem: bytes | None = None
        self._key_pem: bytes | None = None

    @classmethod
    def from_pem(cls, certificate: str | bytes, key: str | bytes, pass_phrase: str | bytes | None = None) -> X509:
        """The same from PEM texts that are in memory; FerroHub's own."""
        x509 = cls("", None, pass_phrase)
        x509._cert_file = None
        x509._certificate_pem = _as_bytes(certificate)
        x509._key_pem = _as_bytes(key)
        return x509

    @property
    def certificate_file(self) -> Path | None:
        """The path of the certificate."""
        return self._cert_file

    @property
    def key_file(self) -> Path | None:
        """The path of the private key."""
        return self._key_file

    @property
    def pass_phrase(self) -> str | bytes | None:
        """What the private key is encrypted with."""
        return self._pass_phrase

    def read(self) -> tuple[bytes, bytes, bytes | None]:
        """The PEM texts of certificate and key, and the pass phrase. Raises OSError, such as FileNotFoundError."""
        pass_phrase = None if self._pass_phrase is None else _as_bytes(self._pass_phrase)
        if self._certificate_pem is not None and self._key_pem is not None:
            return self._certificate_pem, self._key_pem, pass_phrase
        assert self._cert_file is not None
        certificate = _content(self._cert_file)
        return certificate, _content(self._key_file) if self._key_file else certificate, pass_phrase


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _content(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read()
