"""`azure.iot.device.common.auth`: what programs use to read connection strings and to make and read tokens."""

from __future__ import annotations

import time
from typing import Any, Union

import pytest
from azure.iot.device.common.auth import connection_string as cs
from azure.iot.device.common.auth import sastoken as st
from azure.iot.device.common.auth import signing_mechanism as sm

KEY = "Zm9vYmFy"
DEVICE_STRING = f"HostName=h;DeviceId=d;SharedAccessKey={KEY}"

# --- connection strings -------------------------------------------------------------------------------------------


def test_parts_are_read_by_key() -> None:
    parsed = cs.ConnectionString(DEVICE_STRING)
    assert (parsed[cs.HOST_NAME], parsed["DeviceId"], parsed[cs.SHARED_ACCESS_KEY]) == ("h", "d", KEY)
    assert parsed.get(cs.MODULE_ID) is None
    assert parsed.get(cs.MODULE_ID, "default") == "default"
    with pytest.raises(KeyError):
        parsed[cs.MODULE_ID]


def test_the_keys_have_their_names() -> None:
    names = {name: value for name, value in vars(cs).items() if name.isupper() and isinstance(value, str)}
    assert names == {
        "CS_DELIMITER": ";",
        "CS_VAL_SEPARATOR": "=",
        "HOST_NAME": "HostName",
        "SHARED_ACCESS_KEY_NAME": "SharedAccessKeyName",
        "SHARED_ACCESS_KEY": "SharedAccessKey",
        "SHARED_ACCESS_SIGNATURE": "SharedAccessSignature",
        "DEVICE_ID": "DeviceId",
        "MODULE_ID": "ModuleId",
        "GATEWAY_HOST_NAME": "GatewayHostName",
        "X509": "x509",
    }


def test_the_text_is_given_back_and_the_representation_holds_no_key() -> None:
    parsed = cs.ConnectionString(DEVICE_STRING)
    assert str(parsed) == DEVICE_STRING
    assert repr(parsed) == "ConnectionString(DeviceId=d;HostName=h;SharedAccessKey=…)"


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("", "Invalid Connection String - Unable to parse"),
        ("HostName", "Invalid Connection String - Unable to parse"),
        (f"{DEVICE_STRING};", "Invalid Connection String - Unable to parse"),
        ("HostName=h;HostName=h", "Invalid Connection String - Unable to parse"),
        ("hostname=h", "Invalid Connection String - Invalid Key"),
        (f"{DEVICE_STRING};x509=true", "Invalid Connection String - Mixed authentication scheme"),
        ("HostName=h;DeviceId=d", "Invalid Connection String - Incomplete"),
        (f"HostName=h;DeviceId=;SharedAccessKey={KEY}", "Invalid Connection String - Incomplete"),
        (f"HostName=h;SharedAccessKey={KEY}", "Invalid Connection String - Incomplete"),
    ],
)
def test_a_text_that_is_none_is_refused(text: str, begin: str) -> None:
    with pytest.raises(ValueError, match=f"^{begin}"):
        cs.ConnectionString(text)


def test_a_connection_string_is_a_str() -> None:
    with pytest.raises(TypeError, match=r"^Connection String must be of type str$"):
        cs.ConnectionString(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "HostName=h;DeviceId=d;x509=true",
        f"HostName=h;SharedAccessKeyName=n;SharedAccessKey={KEY}",
        f"HostName=h;DeviceId=d;SharedAccessKey={KEY};GatewayHostName=g",
    ],
)
def test_every_complete_kind_is_taken(text: str) -> None:
    assert cs.ConnectionString(text)["HostName"] == "h"


# --- signing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, KEY.encode(), "Zm9v!!YmFy"])
def test_a_key_signs_with_hmac_sha256(key: Union[str, bytes]) -> None:
    mechanism = sm.SymmetricKeySigningMechanism(key)
    for text in ("foo", b"foo"):
        assert mechanism.sign(text) == "PSqTeLEZjYjFM703q6uSyWbFlph5G7QmYdfFJjAs4+k="
    assert isinstance(mechanism, sm.SigningMechanism)


def test_a_key_that_is_not_base64_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Invalid Symmetric Key$"):
        sm.SymmetricKeySigningMechanism("Zm9vY")
    with pytest.raises(TypeError):
        sm.SymmetricKeySigningMechanism(5)  # type: ignore[arg-type]


def test_what_does_not_sign_is_no_signing_mechanism() -> None:
    with pytest.raises(TypeError):
        sm.SigningMechanism()  # type: ignore[abstract]


# --- tokens that are made -----------------------------------------------------------------------------------------


def test_a_token_is_the_official_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1795418250.9)
    mechanism = sm.SymmetricKeySigningMechanism(KEY)
    token = st.RenewableSasToken("myhub.test-devices.net/devices/dev1/modules/mod1", mechanism)
    text = (
        "SharedAccessSignature sr=myhub.test-devices.net%2Fdevices%2Fdev1%2Fmodules%2Fmod1"
        "&sig=yjxGa5W8QQrdxgVa0yxFxS0ixDt1LlpPQ5Ov%2Fsu%2B5fc%3D&se=1795421850"
    )
    assert str(token) == text
    assert (token.expiry_time, token.ttl) == (1795421850, 3600)
    named = st.RenewableSasToken("myhub.test-devices.net/devices/dev1/modules/mod1", mechanism, key_name="policy")
    assert str(named) == f"{text}&skn=policy"


def test_a_token_is_renewed_for_its_time_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    token = st.RenewableSasToken("h/devices/a b", sm.SymmetricKeySigningMechanism(KEY), ttl=100)
    first = str(token)
    assert token.expiry_time == 1100
    assert first.startswith("SharedAccessSignature sr=h%2Fdevices%2Fa%20b&sig=")
    now = 1050.5
    token.refresh()
    assert token.expiry_time == 1150
    assert str(token) != first


def test_a_failure_to_sign_is_a_failure_to_make_the_token() -> None:
    class Broken(sm.SigningMechanism):
        def sign(self, data_str: Any) -> str:
            raise OSError("no key store")

    with pytest.raises(st.SasTokenError, match=r"^Unable to build SasToken from given values$") as caught:
        st.RenewableSasToken("h/devices/d", Broken())
    assert isinstance(caught.value.__cause__, OSError)


# --- tokens that are read -----------------------------------------------------------------------------------------


def test_a_given_token_is_read_and_kept_as_it_is() -> None:
    text = "SharedAccessSignature sr=h%2Fdevices%2Fa%20b&sig=c%3D&se=99&skn=policy"
    token = st.NonRenewableSasToken(text)
    assert (str(token), token.expiry_time, token.resource_uri) == (text, 99, "h/devices/a b")
    fields = {"sr": "h%2Fdevices%2Fa%20b", "sig": "c%3D", "se": "99", "skn": "policy"}
    assert st.get_sastoken_info_from_string(text) == fields


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Not a SasToken "),
        ("sharedaccesssignature sr=h&sig=s&se=5", "Not a SasToken "),
        ("SharedAccessSignature SharedAccessSignature sr=h&sig=s&se=5", "Not a SasToken "),
        ("SharedAccessSignature sr", "Incorrectly formatted"),
        ("SharedAccessSignature sr=h&sig=s", "Not all required fields present"),
        ("SharedAccessSignature sr=h&sig=s&se=5&more=x", "Unexpected fields present"),
    ],
)
def test_a_text_that_is_no_token_is_refused(text: str, why: str) -> None:
    with pytest.raises(st.SasTokenError) as caught:
        st.NonRenewableSasToken(text)
    assert str(caught.value) == f"Invalid SasToken string: {why}"


def test_an_expiry_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal for int"):
        _ = st.NonRenewableSasToken("SharedAccessSignature sr=h&sig=s&se=soon").expiry_time
