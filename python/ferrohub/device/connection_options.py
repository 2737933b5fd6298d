"""How a client connects, whatever it connects to: what clients of hubs and of the provisioning service share.

Checked as the official package does, and in its order: of several mistakes the same one is told. First which arguments
there are, then the credentials, then values, then certificates and files.
"""

from __future__ import annotations

import sys

from ferrohub._native import SharedAccessKey, __version__, check_trusted_certificates
from ferrohub.device._errors import translated
from ferrohub.device.constant import MAX_KEEP_ALIVE_SECS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Any

    from ferrohub.device.proxy_options import ProxyOptions
    from ferrohub.device.x509 import X509

# threading.TIMEOUT_MAX, without importing threading: what a lock can wait at most.
MAX_INTERVAL_SECONDS = 9223372036.0

USER_AGENT = f"ferrohub/{__version__} (python {'.'.join(map(str, sys.version_info[:3]))}; {sys.platform})"
"""What clients say they are, before the product's own text."""

DEFAULTS: dict[str, Any] = {
    "server_verification_cert": None,
    "gateway_hostname": None,
    "cipher": "",
    "websockets": False,
    "proxy_options": None,
    "sastoken_ttl": 3600,
    "keep_alive": 60,
}
"""The keyword arguments that every client takes."""


class ConnectionOptions:
    """The options that every client has, read field by field by the core."""

    gateway_host_name: str | None
    # One of these, or what else a client has for credentials; the certificate with its private key and pass phrase.
    shared_access_key: SharedAccessKey | None = None
    certificate: tuple[bytes, bytes, bytes | None] | None = None
    sastoken_ttl: int = DEFAULTS["sastoken_ttl"]
    user_agent: str
    server_verification_cert: str | None
    cipher_suites: list[str] | None
    websockets: bool
    proxy: tuple[str, str, int, str | None, str | None] | None
    keep_alive: int

    _shows_certificate = False
    _x509: X509 | None = None

    def __init__(
        self, arguments: dict[str, Any], defaults: dict[str, Any], excluded: Container[str], text: str
    ) -> None:
        """`text` is what is said of an argument that there isn't, or that this factory doesn't take."""
        for name in arguments:
            if name not in defaults or name in excluded:
                raise TypeError(text.format(name))
        self._values = {**defaults, **arguments}

    def _use_key(self, symmetric_key: str | bytes) -> None:
        key = symmetric_key.decode() if isinstance(symmetric_key, bytes) else symmetric_key
        with translated():
            self.shared_access_key = SharedAccessKey(required_text("symmetric_key", key))
        self._use_time_to_live()

    def _use_time_to_live(self) -> None:
        """By those who have tokens made."""
        self.sastoken_ttl = _time_to_live(self._values["sastoken_ttl"])

    def _use_certificate(self, x509: X509) -> None:
        """Its files are read by `_use_certificates`."""
        self._shows_certificate, self._x509 = True, x509

    def _use_values(self) -> None:
        """Once the credentials are known; `_use_certificates` follows."""
        values = self._values
        self.gateway_host_name = values["gateway_hostname"] or None
        self.keep_alive = _keep_alive(values["keep_alive"])
        if self._shows_certificate and not self._x509:
            raise ValueError("One of either 'sastoken' or 'x509' must be provided")
        self.websockets = bool(values["websockets"])
        self.user_agent = USER_AGENT
        self._cipher_list = _cipher_list(values["cipher"])

    def _use_certificates(self) -> None:
        """Whom to trust, how, and what is shown; by which way one gets there comes before."""
        values = self._values
        self.proxy = _proxy(values["proxy_options"])
        self.server_verification_cert = _pem_text(values["server_verification_cert"])
        self.cipher_suites = _cipher_suites(self._cipher_list)
        if self._x509:
            self.certificate = self._x509.read()


def required_text(name: str, value: Any) -> str:
    """An argument that must be a str with something in it. Raises TypeError and ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value


def _proxy(value: ProxyOptions | None) -> tuple[str, str, int, str | None, str | None] | None:
    if value is None:
        return None
    address = required_text("proxy_addr", value.proxy_address)
    return value.proxy_type, address, value.proxy_port, value.proxy_username, value.proxy_password


def _pem_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise TypeError("'server_verification_cert' must be a str with certificates in PEM, not a path or bytes")
    with translated():
        check_trusted_certificates(value)
    return value


def _cipher_list(cipher: Any) -> str:
    if isinstance(cipher, list):
        cipher = ":".join(cipher)
    if not isinstance(cipher, str):
        raise TypeError("Invalid type for 'cipher'")
    return cipher.upper().replace("_", "-")


def _cipher_suites(cipher_list: str) -> list[str] | None:
    """The names in a list, which may hold patterns such as `ECDHE+AESGCM`: OpenSSL knows them all."""
    if not cipher_list:
        return None
    import ssl  # here: it is heavy, and few programs name ciphers

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(cipher_list)
    # A list never restricts TLS 1.3, whose suites always come first.
    return [suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"]


def _time_to_live(value: Any) -> int:
    if not isinstance(value, (int, float)):
        raise TypeError("Invalid type for 'sastoken_ttl'. Must be a numeric value.")
    return int(min(max(0, value), MAX_INTERVAL_SECONDS))


def _keep_alive(value: Any) -> int:
    try:
        seconds = int(value)
    except (ValueError, TypeError):
        raise TypeError("Invalid type for 'keep alive'. Must be a numeric value.") from None
    if seconds <= 0:
        raise ValueError("'keep alive' must be greater than 0")
    if seconds > MAX_KEEP_ALIVE_SECS:
        raise ValueError("'keep_alive' cannot exceed 1740 seconds (29 minutes)")
    return seconds
