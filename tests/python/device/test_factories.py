"""How clients are made: every factory, its keyword arguments, and the errors for what can't be used."""

from __future__ import annotations

import re
import ssl
import threading
import time
import weakref
from typing import Any, Union

import pytest
from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, aio
from azure.iot.device.common.auth.sastoken import SasTokenError
from azure.iot.device.exceptions import ClientError
from azure.iot.device.iothub import abstract_clients
from ferrohub.device.options import ClientOptions
from tls_hub import TlsHub

KEY = "Zm9vYmFy"
DEVICES = [IoTHubDeviceClient, aio.IoTHubDeviceClient]
MODULES = [IoTHubModuleClient, aio.IoTHubModuleClient]
FUTURE = int(time.time()) + 3600
SECRET = "c2VjcmV0"

DeviceClass = type[Union[IoTHubDeviceClient, aio.IoTHubDeviceClient]]
ModuleClass = type[Union[IoTHubModuleClient, aio.IoTHubModuleClient]]


def token(resource: str, expires: object = FUTURE) -> str:
    return f"SharedAccessSignature sr={resource.replace('/', '%2F')}&sig={SECRET}&se={expires}"


def from_key(**arguments: Any) -> IoTHubDeviceClient:
    return IoTHubDeviceClient.create_from_symmetric_key(KEY, "h", "d", **arguments)


def options_of(**arguments: Any) -> ClientOptions:
    return ClientOptions.from_symmetric_key(KEY, "h", "d", arguments)


# --- what every client is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", DEVICES)
def test_device_clients_have_their_abstract_base_in_common(client: DeviceClass) -> None:
    made = client.create_from_symmetric_key(KEY, "h", "d")
    assert isinstance(made, abstract_clients.AbstractIoTHubDeviceClient)
    assert isinstance(made, abstract_clients.AbstractIoTHubClient)
    assert abstract_clients.AbstractIoTHubModuleClient not in client.__mro__
    assert type(made).__name__ == "IoTHubDeviceClient"


@pytest.mark.parametrize("client", MODULES)
def test_module_clients_have_their_abstract_base_in_common(client: ModuleClass) -> None:
    made = client.create_from_sastoken(token("h/devices/d/modules/m"))
    assert isinstance(made, abstract_clients.AbstractIoTHubModuleClient)
    assert abstract_clients.AbstractIoTHubDeviceClient not in client.__mro__
    assert type(made).__name__ == "IoTHubModuleClient"


def test_a_subclass_makes_its_own_and_attributes_may_be_added() -> None:
    class Mine(IoTHubDeviceClient):
        pass

    client = Mine.create_from_sastoken(token("h/devices/d"))
    assert type(client) is Mine
    vars(client)["id"] = 5
    assert client.id == 5  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"^Provided SasToken is for a module$"):
        Mine.create_from_sastoken(token("h/devices/d/modules/m"))


@pytest.mark.parametrize("client", [*DEVICES, *MODULES])
def test_a_client_is_a_plain_object_of_python(client: type[abstract_clients.AbstractIoTHubClient]) -> None:
    names = [base.__name__ for base in client.__mro__]
    sort = names[0].removesuffix("Client")
    assert names[:2] == [names[0], "GenericIoTHubClient"]
    assert {f"Abstract{sort}Client", "AbstractIoTHubClient"} <= set(names)
    made = client.create_from_connection_string(f"HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey={KEY}")
    assert weakref.ref(made)() is made
    vars(made)["get_twin"] = "replaced"
    assert getattr(made, "get_twin") == "replaced"  # noqa: B009 - mypy knows better
    with pytest.raises(AttributeError):
        setattr(made, "connected", True)  # noqa: B010


def test_the_defaults_are_the_official_ones() -> None:
    options = options_of()
    assert (options.keep_alive, options.sastoken_ttl, options.connection_retry_interval) == (60, 3600, 10)
    assert options.auto_connect
    assert options.connection_retry
    assert options.ensure_desired_properties
    assert not options.websockets
    assert (options.server_verification_cert, options.gateway_host_name, options.proxy) == (None, None, None)
    assert (options.cipher_suites, options.model_id) == (None, None)


@pytest.mark.parametrize("product_info", ["my product", 5, None])
def test_any_product_info_stands_behind_the_user_agent_as_text(product_info: object) -> None:
    options = options_of(product_info=product_info)
    assert options.user_agent == options_of().user_agent + str(product_info)
    assert options.model_id is None


@pytest.mark.parametrize(("given", "used"), [("30", 30), (1.9, 1), (1740, 1740)])
def test_a_keep_alive_is_made_a_whole_number(given: object, used: int) -> None:
    assert options_of(keep_alive=given).keep_alive == used


# --- keyword arguments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bogus", "model_id", "websockets_", "proxy"])
def test_an_unknown_keyword_argument_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"^Unsupported keyword argument: '{name}'$"):
        from_key(**{name: 1})


def test_each_factory_refuses_the_keyword_arguments_that_are_not_its_own() -> None:
    unsupported = "^Unsupported keyword argument: 'sastoken_ttl'$"
    x509 = X509("/does/not/exist", "/does/not/exist")
    with pytest.raises(TypeError, match=unsupported):
        IoTHubDeviceClient.create_from_sastoken(token("h/devices/d"), sastoken_ttl=3600)
    with pytest.raises(TypeError, match=unsupported):
        IoTHubDeviceClient.create_from_x509_certificate(x509, "h", "d", sastoken_ttl=3600)
    with pytest.raises(TypeError, match=unsupported):
        IoTHubModuleClient.create_from_x509_certificate(x509, "h", "d", "m", sastoken_ttl=3600)
    with pytest.raises(TypeError, match=r"^Unsupported keyword argument: 'gateway_hostname'$"):
        IoTHubDeviceClient.create_from_connection_string(
            f"HostName=h;DeviceId=d;SharedAccessKey={KEY}", gateway_hostname="g"
        )


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"cipher": None}, TypeError, "Invalid type for 'cipher'"),
        ({"cipher": 5}, TypeError, "Invalid type for 'cipher'"),
        ({"cipher": ("A",)}, TypeError, "Invalid type for 'cipher'"),
        ({"sastoken_ttl": "3600"}, TypeError, "Invalid type for 'sastoken_ttl'. Must be a numeric value."),
        ({"keep_alive": "x"}, TypeError, "Invalid type for 'keep alive'. Must be a numeric value."),
        ({"keep_alive": None}, TypeError, "Invalid type for 'keep alive'. Must be a numeric value."),
        ({"keep_alive": 0}, ValueError, "'keep alive' must be greater than 0"),
        ({"keep_alive": 1741}, ValueError, "'keep_alive' cannot exceed 1740 seconds (29 minutes)"),
        (
            {"connection_retry_interval": "x"},
            TypeError,
            "Invalid type for 'connection_retry_interval'. Must be a numeric value",
        ),
        ({"connection_retry_interval": 0.5}, ValueError, "'connection_retry_interval' must be greater than 0"),
        (
            {"connection_retry_interval": 1e10},
            ValueError,
            f"'connection_retry_interval' cannot exceed {threading.TIMEOUT_MAX} seconds",
        ),
        (
            {"server_verification_cert": b"x"},
            TypeError,
            "'server_verification_cert' must be a str with certificates in PEM, not a path or bytes",
        ),
    ],
)
def test_a_value_that_can_not_be_used_is_refused(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        from_key(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"keep_alive": "30"},
        {"keep_alive": 1.9},
        {"keep_alive": 1740},
        {"sastoken_ttl": -5},
        {"sastoken_ttl": 1.5},
        {"sastoken_ttl": 1e300},
        {"product_info": 5},
        {"gateway_hostname": ""},
        {"server_verification_cert": ""},
        {"cipher": []},
        {"cipher": "ECDHE+AESGCM"},
        {"auto_connect": 0, "connection_retry": None, "ensure_desired_properties": "yes"},
    ],
)
def test_what_the_official_package_accepts_is_accepted(arguments: dict[str, Any]) -> None:
    assert not from_key(**arguments).connected


@pytest.mark.parametrize("cipher", ["BOGUS", "TLS_AES_128_GCM_SHA256", "AES128-SHA"])
def test_a_cipher_that_is_not_there_is_refused(cipher: str) -> None:
    with pytest.raises(ssl.SSLError) as caught:
        from_key(cipher=cipher)
    assert "No cipher can be selected." in str(caught.value)


def test_a_text_without_certificates_is_refused() -> None:
    with pytest.raises(ssl.SSLError, match="server_verification_cert"):
        from_key(server_verification_cert="/a/path/instead/of/a/text.pem")


def test_the_keyword_arguments_reach_the_hub(tls_hub: TlsHub) -> None:
    client = IoTHubDeviceClient.create_from_symmetric_key(
        symmetric_key=KEY,
        hostname="hub.example",
        device_id="dev1",
        gateway_hostname=tls_hub.host_name,
        server_verification_cert=tls_hub.ca,
        cipher="ecdhe_ecdsa_aes128_gcm_sha256",
        product_info="my prod/1+é",
        keep_alive="30",
    )
    client.connect()
    shown = tls_hub.shown()
    assert (shown.server_name, shown.client_id, shown.keep_alive) == ("localhost", "dev1", 30)
    assert shown.user_name.startswith("hub.example/dev1/?api-version=2019-10-01&DeviceClientType=ferrohub%2F")
    assert shown.user_name.endswith("my%20prod%2F1%2B%C3%A9")
    assert (shown.version, shown.cipher) == ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert shown.password
    assert shown.password.startswith("SharedAccessSignature sr=hub.example%2Fdevices%2Fdev1&sig=")
    assert abs(int(shown.password.rpartition("se=")[2]) - (time.time() + 3600)) < 60
    client.shutdown()


def test_a_model_id_goes_where_the_hub_looks_for_it(tls_hub: TlsHub) -> None:
    client = IoTHubDeviceClient.create_from_symmetric_key(
        KEY,
        tls_hub.host_name,
        "d",
        server_verification_cert=tls_hub.ca,
        product_info="dtmi:com:example:Thermostat;1",
    )
    client.connect()
    user_name = tls_hub.shown().user_name
    assert "/?api-version=2020-09-30&DeviceClientType=ferrohub" in user_name
    assert user_name.endswith("&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1")
    client.shutdown()


def test_a_list_of_ciphers_is_offered_in_its_order(tls_hub: TlsHub) -> None:
    names = ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE_ECDSA_CHACHA20_POLY1305"]
    client = IoTHubDeviceClient.create_from_symmetric_key(
        KEY, tls_hub.host_name, "d", server_verification_cert=tls_hub.ca, cipher=names
    )
    client.connect()
    assert tls_hub.shown().cipher == "ECDHE-ECDSA-CHACHA20-POLY1305", "the hub's certificate is not RSA"
    client.shutdown()


# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", DEVICES)
def test_a_key_that_is_not_base64_is_refused_and_not_shown(client: DeviceClass) -> None:
    with pytest.raises(ValueError, match=r"^Invalid Symmetric Key") as caught:
        client.create_from_symmetric_key("Zm9vY", "h", "d")
    assert "Zm9vY" not in str(caught.value)
    with pytest.raises(TypeError):
        client.create_from_symmetric_key(None, "h", "d")  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [("", "d"), ("h", "")])
def test_a_name_that_is_missing_is_refused(arguments: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        IoTHubDeviceClient.create_from_symmetric_key(KEY, *arguments)


# --- tokens -------------------------------------------------------------------------------------------------------

BROKEN_TOKENS = [
    ("none", "Invalid SasToken provided"),
    (f"SharedAccessSignature sr=h&sig={SECRET}", "Invalid SasToken provided"),
    (token("h"), "Invalid SAS URI"),
    (token("h/devices/d/modules"), "Invalid SAS URI"),
    (token("h/dev/d"), "Cannot extract device id from SAS URI"),
    (token("h/devices/d/mod/m"), "Cannot extract module id from SAS URI"),
]


@pytest.mark.parametrize("client", [*DEVICES, *MODULES])
@pytest.mark.parametrize(("text", "error"), BROKEN_TOKENS)
def test_a_broken_token_is_refused_and_not_shown(
    client: type[abstract_clients.AbstractIoTHubClient], text: str, error: str
) -> None:
    with pytest.raises(ValueError, match=f"^{error}$") as caught:
        client.create_from_sastoken(text)
    if error == "Invalid SasToken provided":
        assert isinstance(caught.value.__cause__, SasTokenError)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_token_of_the_other_sort_of_client_is_refused() -> None:
    for device in DEVICES:
        with pytest.raises(ValueError, match=r"^Provided SasToken is for a module$"):
            device.create_from_sastoken(token("h/devices/d/modules/m"))
    for module in MODULES:
        with pytest.raises(ValueError, match=r"^Provided SasToken is for a device$"):
            module.create_from_sastoken(token("h/devices/d"))


def test_a_token_whose_time_is_over_or_unreadable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Provided SasToken has already expired$"):
        IoTHubDeviceClient.create_from_sastoken(token("h/devices/d", 5))
    with pytest.raises(ValueError, match="invalid literal for int"):
        IoTHubDeviceClient.create_from_sastoken(token("h/devices/d", "soon"))
    assert IoTHubDeviceClient.create_from_sastoken(token("h/devices/d", 10**30))


def test_a_token_is_sent_as_it_is_and_its_successor_too(tls_hub: TlsHub) -> None:
    def given(number: int) -> str:
        return f"SharedAccessSignature se={FUTURE}&sr={tls_hub.host_name}%2fdevices%2fdev%201&sig={number}"

    client = IoTHubDeviceClient.create_from_sastoken(given(1), server_verification_cert=tls_hub.ca)
    client.connect()
    shown = tls_hub.shown()
    assert (shown.password, shown.client_id) == (given(1), "dev 1")
    client.update_sastoken(given(2))
    assert client.connected
    assert tls_hub.shown().password == given(2)
    client.disconnect()
    client.update_sastoken(given(3))
    assert client.connected, "a new token connects"
    assert tls_hub.shown().password == given(3)
    client.shutdown()


def test_an_asyncio_client_takes_a_new_token(tls_hub: TlsHub) -> None:
    import asyncio

    def given(number: int) -> str:
        return token(f"{tls_hub.host_name}/devices/d/modules/m") + f"&skn={number}"

    async def update() -> None:
        client = aio.IoTHubModuleClient.create_from_sastoken(given(1), server_verification_cert=tls_hub.ca)
        await client.connect()
        await client.update_sastoken(given(2))
        assert client.connected
        await client.shutdown()

    asyncio.run(update())
    shown = tls_hub.shown(), tls_hub.shown()
    assert [connect.password for connect in shown] == [given(1), given(2)]
    assert {connect.client_id for connect in shown} == {"d/m"}


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (token("h/devices/e/modules/m"), "Provided SasToken does not match existing device id"),
        (token("h/devices/d/modules/n"), "Provided SasToken does not match existing module id"),
        (token("i/devices/d/modules/m"), "Provided SasToken does not match existing hostname"),
        (token("i/devices/e/modules/m"), "Provided SasToken does not match existing device id"),
        (token("h/devices/d"), "Provided SasToken is for a device"),
        (token("h/devices/d/modules/m", 5), "Provided SasToken has already expired"),
        ("none", "Invalid SasToken provided"),
    ],
)
def test_a_new_token_must_be_of_the_same_client(other: str, error: str) -> None:
    client = IoTHubModuleClient.create_from_sastoken(token("h/devices/d/modules/m"))
    with pytest.raises(ValueError, match=f"^{error}$"):
        client.update_sastoken(other)


def test_a_client_made_without_a_token_takes_none() -> None:
    text = "^Cannot update sastoken when client was not created with one$"
    with pytest.raises(ClientError, match=text):
        from_key().update_sastoken(token("h/devices/d"))


def test_the_program_is_asked_for_a_new_token_in_time(tls_hub: TlsHub) -> None:
    asked = threading.Event()
    # Its life is so short that the fifth of it that is left when the program is asked has begun.
    short = token(f"{tls_hub.host_name}/devices/d", int(time.time()) + 2)
    client = IoTHubDeviceClient.create_from_sastoken(short, server_verification_cert=tls_hub.ca)
    changes: list[bool] = []
    client.on_connection_state_change = lambda: changes.append(client.connected)
    client.on_new_sastoken_required = asked.set
    assert asked.wait(20)
    assert changes == []
    client.shutdown()
