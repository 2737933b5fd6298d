"""Where programs find names: the module paths they import, and what `import azure.iot.device` shows and loads."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
import typing

import pytest

DEVICE = "azure.iot.device"

PATHS = {
    "azure.iot.device": "IoTHubDeviceClient IoTHubModuleClient Message MethodRequest MethodResponse"
    " ProvisioningDeviceClient RegistrationResult X509 ProxyOptions",
    "azure.iot.device.iothub": "IoTHubDeviceClient IoTHubModuleClient Message MethodRequest MethodResponse",
    "azure.iot.device.iothub.sync_clients": "GenericIoTHubClient IoTHubDeviceClient IoTHubModuleClient",
    "azure.iot.device.iothub.models": "Message MethodRequest MethodResponse",
    "azure.iot.device.iothub.models.message": "Message",
    "azure.iot.device.iothub.models.methods": "MethodRequest MethodResponse",
    "azure.iot.device.provisioning": "ProvisioningDeviceClient RegistrationResult",
    "azure.iot.device.provisioning.abstract_provisioning_device_client": "AbstractProvisioningDeviceClient",
    "azure.iot.device.provisioning.provisioning_device_client": "ProvisioningDeviceClient",
    "azure.iot.device.provisioning.models": "RegistrationResult",
    "azure.iot.device.provisioning.models.registration_result": "RegistrationResult RegistrationState",
    "azure.iot.device.common": "X509 ProxyOptions",
    "azure.iot.device.common.models": "X509 ProxyOptions",
    "azure.iot.device.common.models.x509": "X509",
    "azure.iot.device.common.models.proxy_options": "ProxyOptions",
    "azure.iot.device.common.auth": "SymmetricKeySigningMechanism connection_string sastoken signing_mechanism",
    "azure.iot.device.common.auth.connection_string": "ConnectionString HOST_NAME SHARED_ACCESS_KEY_NAME"
    " SHARED_ACCESS_KEY SHARED_ACCESS_SIGNATURE DEVICE_ID MODULE_ID GATEWAY_HOST_NAME X509",
    "azure.iot.device.common.auth.sastoken": "RenewableSasToken NonRenewableSasToken SasTokenError"
    " get_sastoken_info_from_string",
    "azure.iot.device.common.auth.signing_mechanism": "SigningMechanism SymmetricKeySigningMechanism",
    "azure.iot.device.common.transport_exceptions": "ConnectionFailedError ConnectionDroppedError NoConnectionError"
    " UnauthorizedError ProtocolClientError TlsExchangeAuthError ProtocolProxyError",
    "azure.iot.device.common.pipeline.pipeline_exceptions": "PipelineException OperationCancelled OperationTimeout"
    " OperationError PipelineNotRunning PipelineRuntimeError",
    "azure.iot.device.exceptions": "OperationCancelled OperationTimeout ClientError ConnectionFailedError"
    " ConnectionDroppedError NoConnectionError CredentialError ServiceError",
    "azure.iot.device.user_agent": "get_iothub_user_agent get_provisioning_user_agent",
    "azure.iot.device.custom_typing": "FunctionOrCoroutine JSONSerializable Twin TwinPatch StorageInfo"
    " ProvisioningPayload",
}


@pytest.mark.parametrize("path", PATHS)
def test_the_names_are_there(path: str) -> None:
    module = importlib.import_module(path)
    assert [name for name in PATHS[path].split() if not hasattr(module, name)] == []


@pytest.mark.parametrize(
    "path", [DEVICE, "azure.iot.device.iothub", "azure.iot.device.provisioning", "azure.iot.device.common"]
)
def test_a_star_import_gives_the_names(path: str) -> None:
    assert sorted(importlib.import_module(path).__all__) == sorted(PATHS[path].split())


def test_the_asyncio_clients_have_a_package_of_their_own() -> None:
    names = ["IoTHubDeviceClient", "IoTHubModuleClient", "ProvisioningDeviceClient"]
    module, synchronous = importlib.import_module(f"{DEVICE}.aio"), importlib.import_module(DEVICE)
    assert sorted(module.__all__) == names
    assert [name for name in names if getattr(module, name) is getattr(synchronous, name)] == []
    assert [getattr(module, name).__name__ for name in names] == names


def test_a_class_is_the_same_under_each_of_its_paths() -> None:
    classes: dict[str, set[int]] = {}
    for path, names in PATHS.items():
        if not path.endswith("exceptions"):
            for name in set(names.split()) - {"X509"}:
                classes.setdefault(name, set()).add(id(getattr(importlib.import_module(path), name)))
    assert {name for name, objects in classes.items() if len(objects) > 1} == set()


SHOWN = """
import sys
import azure.iot.device
before = set(sys.modules)
for path in sys.argv[1:]:
    value = azure.iot.device
    for name in path.split(".")[3:]:
        value = getattr(value, name)
    assert value is sys.modules[path], path
try:
    azure.iot.device.nothing
except AttributeError as error:
    print(error)
print(before & {"asyncio", "ssl", "requests", "msrest", "typing", "json", "logging", "urllib.parse", "platform"})
"""


def test_import_of_the_package_is_enough_to_reach_every_module_and_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", SHOWN, *PATHS], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["module 'azure.iot.device' has no attribute 'nothing'", "set()"]


def test_the_constants_are_the_official_ones() -> None:
    constant = importlib.import_module("azure.iot.device.constant")
    assert {name: value for name, value in vars(constant).items() if name.isupper()} == {
        "VERSION": "2.14.0",
        "IOTHUB_IDENTIFIER": "azure-iot-device-iothub-py",
        "PROVISIONING_IDENTIFIER": "azure-iot-device-provisioning-py",
        "IOTHUB_API_VERSION": "2019-10-01",
        "PROVISIONING_API_VERSION": "2019-03-31",
        "SECURITY_MESSAGE_INTERFACE_ID": "urn:azureiot:Security:SecurityAgent:1",
        "TELEMETRY_MESSAGE_SIZE_LIMIT": 262144,
        "MAX_KEEP_ALIVE_SECS": 1740,
        "DIGITAL_TWIN_PREFIX": "dtmi",
        "DIGITAL_TWIN_API_VERSION": "2020-09-30",
        "DIGITAL_TWIN_QUERY_HEADER": "model-id",
    }


def test_the_user_agents_are_the_official_ones() -> None:
    from azure.iot.device import user_agent

    tail = f"/2.14.0({platform.python_version()};{platform.system()} {platform.version()};{platform.machine()})"
    assert user_agent.get_iothub_user_agent() == "azure-iot-device-iothub-py" + tail
    assert user_agent.get_provisioning_user_agent() == "azure-iot-device-provisioning-py" + tail


@pytest.mark.skipif(sys.version_info < (3, 10), reason="typing of Python 3.9 can't fill in a ParamSpec")
def test_the_types_can_be_used_in_annotations() -> None:
    from azure.iot.device import custom_typing

    handler = custom_typing.FunctionOrCoroutine[[int], str]
    assert handler == typing.Union[typing.Callable[[int], str], typing.Callable[[int], typing.Awaitable[str]]]
    assert list(custom_typing.StorageInfo.__annotations__) == [
        "correlationId",
        "hostName",
        "containerName",
        "blobName",
        "sasToken",
    ]
    assert custom_typing.Twin == typing.Dict[str, custom_typing.TwinPatch]
    assert custom_typing.ProvisioningPayload == typing.Union[typing.Dict[str, typing.Any], str, int]
