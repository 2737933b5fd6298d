"""Direct methods that modules on IoT Edge call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPSConnection
from ssl import create_default_context
from typing import Any

import pytest
from answering_device import Answering
from azure.iot.device import IoTHubModuleClient, aio
from azure.iot.device.common.auth import SymmetricKeySigningMechanism
from azure.iot.device.common.auth.sastoken import RenewableSasToken
from azure.iot.device.common.pipeline.pipeline_exceptions import PipelineRuntimeError
from azure.iot.device.exceptions import ClientError, OperationTimeout, ServiceError
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from ferrohub.device.base import time_of_method

DEVICE, MODULE = "dev1", "mod1"
REBOOT = {"methodName": "reboot", "payload": [1]}


@pytest.fixture
def edge(hub: LocalHub, registry: IoTHubRegistryManager) -> LocalHub:
    """A hub with a device and a module on it."""
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
    return hub


@pytest.fixture(params=["sync", "aio"])
def invoke(request: pytest.FixtureRequest, edge: LocalHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`invoke_method` of a module on IoT Edge."""

    async def asynchronous(*args: Any, **options: Any) -> Any:
        async with aio.IoTHubModuleClient.create_from_edge_environment(**options.pop("made", {})) as client:
            return await client.invoke_method(*args, **options)

    def synchronous(*args: Any, **options: Any) -> Any:
        with IoTHubModuleClient.create_from_edge_environment(**options.pop("made", {})) as client:
            return client.invoke_method(*args, **options)

    with edge.edge_workload(DEVICE, MODULE) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        if request.param == "sync":
            yield synchronous
        else:
            yield lambda *args, **options: asyncio.run(asynchronous(*args, **options))


def test_a_device_and_a_module_on_it_are_called(
    invoke: Callable[..., Any], edge: LocalHub, registry: IoTHubRegistryManager
) -> None:
    registry.create_module_with_sas(DEVICE, "other", "", "", "")
    for module in (None, "other"):
        with Answering(edge, DEVICE, module):
            assert invoke(REBOOT, DEVICE, module) == {"status": 200, "payload": ["reboot", [1]]}


def test_a_call_needs_the_name_of_a_method(invoke: Callable[..., Any]) -> None:
    with pytest.raises(KeyError, match="methodName"):
        invoke({"payload": 1}, DEVICE)


def test_a_device_that_is_not_there_or_silent_is_told_as_the_gateway_does(invoke: Callable[..., Any]) -> None:
    with pytest.raises(ClientError, match=r"^Unexpected failure: HTTP operation returned: 404 ") as error:
        invoke(REBOOT, DEVICE)
    cause = error.value.__cause__
    assert isinstance(cause, ServiceError)
    assert cause.status == 404
    assert str(cause).startswith("HTTP operation returned: 404 Error('Not found'): The operation failed because")


def test_a_call_ends_at_its_time_or_that_of_its_client(invoke: Callable[..., Any]) -> None:
    waits = {**REBOOT, "connectTimeoutInSeconds": 20}
    with pytest.raises(OperationTimeout, match=r"did not answer within 0\.1 s"):
        invoke(waits, DEVICE, timeout=0.1)
    with pytest.raises(OperationTimeout, match=r"did not answer within 0\.2 s"):
        invoke(waits, DEVICE, made={"operation_timeout": 0.2})


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ({}, 40),
        ({"responseTimeoutInSeconds": 300}, 310),
        ({"connectTimeoutInSeconds": 60, "responseTimeoutInSeconds": 90}, 160),
        ({"responseTimeoutInSeconds": "soon"}, 10),
    ],
)
def test_the_usual_time_of_a_call_is_that_of_its_method(times: dict[str, Any], seconds: float) -> None:
    assert time_of_method({**REBOOT, **times}) == seconds


def test_only_modules_of_an_edge_environment_call_methods(edge: LocalHub) -> None:
    text = edge.module_connection_string(DEVICE, MODULE)
    with IoTHubModuleClient.create_from_connection_string(text) as client:
        with pytest.raises(ClientError, match=r"^Unexpected failure: invoke_method called, but it is only") as error:
            client.invoke_method(REBOOT, DEVICE)
        assert isinstance(error.value.__cause__, PipelineRuntimeError)


def call(hub: LocalHub, caller: str | None, signed_by: str) -> int:
    """The status of a call in the name of one module with the token of another."""
    key = hub.module_connection_string(DEVICE, signed_by).partition("SharedAccessKey=")[2]
    resource = f"localhost/devices/{DEVICE}/modules/{signed_by}"
    headers = {"Authorization": str(RenewableSasToken(resource, SymmetricKeySigningMechanism(key)))}
    if caller is not None:
        headers["x-ms-edge-moduleId"] = caller
    gateway = HTTPSConnection("localhost", hub.port, timeout=20, context=create_default_context(cafile=hub.ca_file))
    with ExitStack() as stack:
        stack.callback(gateway.close)
        gateway.request("POST", f"/twins/{DEVICE}/methods?api-version=2019-10-01", json.dumps(REBOOT), headers)
        return gateway.getresponse().status


def test_a_module_calls_in_its_own_name_only(edge: LocalHub, registry: IoTHubRegistryManager) -> None:
    registry.create_module_with_sas(DEVICE, "other", "", "", "")
    with Answering(edge):
        assert call(edge, f"{DEVICE}/{MODULE}", MODULE) == 200
        for caller in (f"{DEVICE}/other", f"{DEVICE}/nobody", DEVICE, "", None):
            assert call(edge, caller, MODULE) == 401, caller
    registry.update_device_with_sas(DEVICE, "*", "", "", "disabled")
    assert call(edge, f"{DEVICE}/{MODULE}", MODULE) == 401
