"""How provisioning clients are made: the factories, their keyword arguments, and the errors for what can't be used."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any, Union

import pytest
from azure.iot.device import X509, ProvisioningDeviceClient, aio
from azure.iot.device.provisioning import aio as provisioning_aio
from azure.iot.device.provisioning.abstract_provisioning_device_client import AbstractProvisioningDeviceClient
from x509_certificates import make_certificate

KEY = "Zm9vYmFy"
CLASSES = [ProvisioningDeviceClient, aio.ProvisioningDeviceClient]

Client = type[Union[ProvisioningDeviceClient, aio.ProvisioningDeviceClient]]


def from_key(registration_id: Any = "reg1", **arguments: Any) -> ProvisioningDeviceClient:
    return ProvisioningDeviceClient.create_from_symmetric_key("h", registration_id, "0ne", KEY, **arguments)


@pytest.mark.parametrize("client", CLASSES)
def test_both_sorts_have_their_name_and_base_in_common(client: Client) -> None:
    made = client.create_from_symmetric_key(
        provisioning_host="h", registration_id="reg1", id_scope="0ne", symmetric_key=KEY
    )
    assert type(made) is client
    assert client.__name__ == "ProvisioningDeviceClient"
    assert isinstance(made, AbstractProvisioningDeviceClient)
    assert provisioning_aio.ProvisioningDeviceClient is aio.ProvisioningDeviceClient
    made.provisioning_payload = {"modelId": "dtmi:com:example:Thermostat;1"}
    assert made.provisioning_payload == {"modelId": "dtmi:com:example:Thermostat;1"}
    vars(made)["id"] = 5
    assert made.id == 5  # type: ignore[union-attr]


@pytest.mark.parametrize("registration_id", [None, "", "  "])
def test_a_registration_id_is_needed(registration_id: Any) -> None:
    with pytest.raises(ValueError, match=r"^Registration Id can not be none, empty or blank\.$"):
        from_key(registration_id, bogus=1)


@pytest.mark.parametrize("name", ["bogus", "product_info", "auto_connect", "connection_retry"])
def test_an_unknown_keyword_argument_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"^Unsupported keyword argument '{name}'$"):
        from_key(**{name: 1})


def test_tokens_are_not_for_certificates() -> None:
    x509 = X509("/does/not/exist", "/does/not/exist")
    with pytest.raises(TypeError, match=r"^Unsupported keyword argument 'sastoken_ttl'$"):
        ProvisioningDeviceClient.create_from_x509_certificate("h", "reg1", "0ne", x509, sastoken_ttl=1)
    with pytest.raises(FileNotFoundError):
        ProvisioningDeviceClient.create_from_x509_certificate("h", "reg1", "0ne", x509)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"cipher": None}, TypeError, "Invalid type for 'cipher'"),
        ({"sastoken_ttl": "3600"}, TypeError, "Invalid type for 'sastoken_ttl'. Must be a numeric value."),
        ({"keep_alive": "x"}, TypeError, "Invalid type for 'keep alive'. Must be a numeric value."),
        ({"keep_alive": 0}, ValueError, "'keep alive' must be greater than 0"),
        ({"keep_alive": 1741}, ValueError, "'keep_alive' cannot exceed 1740 seconds (29 minutes)"),
        ({"registration_id": 5}, TypeError, "registration_id must be a str, not int"),
        ({"gateway_hostname": "g:99999"}, ValueError, 'the host name "g:99999" has no valid port'),
    ],
)
def test_a_value_that_can_not_be_used_is_refused(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        from_key(**arguments)


def test_a_key_certificate_or_cipher_that_can_not_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^Invalid Symmetric Key"):
        ProvisioningDeviceClient.create_from_symmetric_key("h", "reg1", "0ne", "a2V5Z")
    with pytest.raises(ValueError, match=r"^One of either 'sastoken' or 'x509' must be provided$"):
        ProvisioningDeviceClient.create_from_x509_certificate("h", "reg1", "0ne", None)  # type: ignore[arg-type]
    with pytest.raises(ssl.SSLError, match="No cipher can be selected"):
        from_key(cipher="BOGUS")
    with pytest.raises(ssl.SSLError, match="server_verification_cert"):
        from_key(server_verification_cert="/a/path/instead/of/a/text.pem")
    for name in ("one", "two"):
        make_certificate(tmp_path, name, name)
    with pytest.raises(ssl.SSLError, match="do not belong together"):
        ProvisioningDeviceClient.create_from_x509_certificate(
            "h", "reg1", "0ne", X509(str(tmp_path / "one.pem"), str(tmp_path / "two.key"))
        )


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_time_that_can_not_be_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="is not possible"):
        from_key().register(timeout=timeout)
