"""Clients that show a certificate: every form in which OpenSSL writes keys, and the errors for what can't be used."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, aio
from tls_hub import TlsHub
from x509_certificates import openssl

PHRASE = "secret of the key"

# File of the certificate, and how `openssl` makes the key's file from that certificate's key.
FORMS: dict[str, tuple[str, list[str]]] = {
    "ecdsa-pkcs8": ("dev1", ["pkcs8", "-topk8", "-nocrypt"]),
    "ecdsa-sec1": ("dev1", ["ec"]),
    "rsa-pkcs8": ("rsa", ["pkcs8", "-topk8", "-nocrypt"]),
    "rsa-pkcs1": ("rsa", ["rsa", "-traditional"]),
    "ecdsa-aes256": ("dev1", ["pkcs8", "-topk8", "-v2", "aes256", "-passout", f"pass:{PHRASE}"]),
    "rsa-aes128-sha512": (
        "rsa",
        ["pkcs8", "-topk8", "-v2", "aes128", "-v2prf", "hmacWithSHA512", "-passout", f"pass:{PHRASE}"],
    ),
    "rsa-3des": ("rsa", ["pkcs8", "-topk8", "-v2", "des3", "-passout", f"pass:{PHRASE}"]),
    "rsa-scrypt": ("rsa", ["pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PHRASE}"]),
}


def key_file(certificates: Path, form: str) -> Path:
    made = certificates / f"{form}.key"
    if not made.exists():
        name, command = FORMS[form]
        openssl(certificates, *command, "-in", f"{name}.key", "-out", made)
    return made


def device(x509: X509, tls_hub: TlsHub) -> IoTHubDeviceClient:
    return IoTHubDeviceClient.create_from_x509_certificate(
        x509=x509, hostname=tls_hub.host_name, device_id="dev1", server_verification_cert=tls_hub.ca
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_with_a_key_in_this_form_is_shown(form: str, certificates: Path, tls_hub: TlsHub) -> None:
    certificate = certificates / f"{FORMS[form][0]}.pem"
    client = device(X509(str(certificate), str(key_file(certificates, form)), PHRASE), tls_hub)
    client.connect()
    shown = tls_hub.shown()
    assert (shown.certificate, shown.password) == ("dev1", None)
    assert shown.user_name.startswith(f"{tls_hub.host_name}/dev1/?api-version=2019-10-01&")
    client.shutdown()


def test_a_certificate_is_taken_from_memory(certificates: Path, tls_hub: TlsHub) -> None:
    certificate, key = (certificates / "dev1.pem").read_bytes(), (certificates / "dev1.key").read_text()
    client = device(X509.from_pem(certificate, key), tls_hub)
    client.connect()
    assert tls_hub.shown().certificate == "dev1"
    client.shutdown()


def test_a_module_shows_a_certificate_too(certificates: Path, tls_hub: TlsHub) -> None:
    x509 = X509(str(certificates / "dev1.pem"), str(certificates / "dev1.key"))
    client = IoTHubModuleClient.create_from_x509_certificate(
        x509, tls_hub.host_name, "dev1", "mod1", server_verification_cert=tls_hub.ca
    )
    client.connect()
    shown = tls_hub.shown()
    assert (shown.certificate, shown.client_id, shown.password) == ("dev1", "dev1/mod1", None)
    client.shutdown()


def test_certificate_and_key_may_stand_in_one_file(certificates: Path, tmp_path: Path, tls_hub: TlsHub) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes((certificates / "rsa.key").read_bytes() + (certificates / "rsa.pem").read_bytes())
    client = device(X509(str(both), None), tls_hub)
    client.connect()
    assert tls_hub.shown().certificate == "dev1"
    client.shutdown()


@pytest.mark.parametrize("client", [IoTHubDeviceClient, aio.IoTHubDeviceClient])
@pytest.mark.parametrize("missing", ["cert_file", "key_file"])
def test_a_missing_file_is_named(client: Any, missing: str, certificates: Path) -> None:
    files = {"cert_file": str(certificates / "dev1.pem"), "key_file": str(certificates / "dev1.key")}
    files[missing] = "/does/not/exist.pem"
    with pytest.raises(FileNotFoundError) as caught:
        client.create_from_x509_certificate(X509(**files), "h", "d")
    assert caught.value.filename == "/does/not/exist.pem"


@pytest.mark.parametrize(("phrase", "text"), [("wrong", "pass phrase is wrong"), (None, "no pass phrase is given")])
def test_without_the_right_pass_phrase_there_is_no_client(phrase: str | None, text: str, certificates: Path) -> None:
    x509 = X509(str(certificates / "dev1.pem"), str(key_file(certificates, "ecdsa-aes256")), phrase)
    with pytest.raises(ssl.SSLError, match=text) as caught:
        IoTHubDeviceClient.create_from_x509_certificate(x509, "h", "d")
    assert PHRASE not in str(caught.value)


def test_a_key_encrypted_in_the_old_way_is_refused_with_the_way_out(certificates: Path) -> None:
    old = certificates / "old.key"
    openssl(certificates, "rsa", "-traditional", "-aes128", "-passout", f"pass:{PHRASE}", "-in", "rsa.key", "-out", old)
    assert "Proc-Type: 4,ENCRYPTED" in old.read_text()
    with pytest.raises(ssl.SSLError, match="openssl pkcs8 -topk8"):
        IoTHubDeviceClient.create_from_x509_certificate(X509(str(certificates / "rsa.pem"), str(old), PHRASE), "h", "d")


def test_a_certificate_and_a_key_that_do_not_belong_together_are_refused(certificates: Path) -> None:
    x509 = X509(str(certificates / "rsa.pem"), str(certificates / "dev1.key"))
    with pytest.raises(ssl.SSLError, match="do not belong together"):
        IoTHubDeviceClient.create_from_x509_certificate(x509, "h", "d")


@pytest.mark.parametrize(("certificate", "key"), [("dev1.key", "dev1.key"), ("dev1.pem", "dev1.pem")])
def test_a_file_that_holds_something_else_is_refused(certificate: str, key: str, certificates: Path) -> None:
    x509 = X509(str(certificates / certificate), str(certificates / key))
    with pytest.raises(ssl.SSLError, match="no PEM"):
        IoTHubDeviceClient.create_from_x509_certificate(x509, "h", "d")


def test_no_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^One of either 'sastoken' or 'x509' must be provided$"):
        IoTHubDeviceClient.create_from_x509_certificate(None, "h", "d")  # type: ignore[arg-type]
    x509 = X509.from_pem("", "")
    with pytest.raises(TypeError, match="module_id"):
        IoTHubModuleClient.create_from_x509_certificate(x509, "h", "d", None)  # type: ignore[arg-type]
