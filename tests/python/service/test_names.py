"""The names that programs import from `azure.iot.hub`, and the arguments of the constructor."""

from __future__ import annotations

import importlib
import inspect
from enum import Enum

import pytest
from ferrohub import service
from ferrohub.service import IoTHubRegistryManager, TransportType, aio, models

SERVICE = "HostName=h;SharedAccessKeyName=n;SharedAccessKey=Zm9vYmFy"


@pytest.mark.parametrize("module", ["azure.iot.hub.models", "azure.iot.hub.protocol.models"])
def test_the_models_have_both_their_official_addresses(module: str) -> None:
    face = importlib.import_module(module)
    assert [name for name in models.__all__ if getattr(face, name) is not getattr(models, name)] == []


def test_the_manager_has_its_official_addresses() -> None:
    for module in ("azure.iot.hub", "azure.iot.hub.iothub_registry_manager"):
        assert importlib.import_module(module).IoTHubRegistryManager is IoTHubRegistryManager
    assert importlib.import_module("azure.iot.hub.constant").VERSION == "2.7.0"


@pytest.mark.parametrize(
    ("manager", "names"),
    [
        (service.IoTHubRegistryManager, ["connection_string", "host", "token_credential", "transport_type"]),
        (service.IoTHubJobManager, ["connection_string", "host", "auth"]),
    ],
)
def test_what_is_new_in_the_constructors_is_given_by_name(manager: type, names: list[str]) -> None:
    parameters = inspect.signature(manager).parameters
    assert [name for name, parameter in parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY] == names
    assert list(parameters)[len(names) :] == ["timeout", "retry"]


class _UamqpTransportType(Enum):
    """As the enum of the uamqp package."""

    Amqp = 1
    AmqpOverWebsocket = 2


@pytest.mark.parametrize("transport", [*TransportType, *_UamqpTransportType])
def test_the_transport_type_of_uamqp_is_taken_too(transport: Enum) -> None:
    for manager in (
        IoTHubRegistryManager(SERVICE, transport_type=transport),
        IoTHubRegistryManager.from_connection_string(SERVICE, transport),
    ):
        assert manager._transport_type.value == transport.value


def test_a_manager_can_be_subclassed() -> None:
    class Mine(IoTHubRegistryManager):
        pass

    assert type(Mine.from_connection_string(SERVICE)) is Mine


@pytest.mark.parametrize("manager", [IoTHubRegistryManager, aio.IoTHubRegistryManager])
def test_a_method_shows_its_signature_with_its_result(manager: type) -> None:
    shown = inspect.signature(manager.get_device)  # type: ignore[attr-defined]
    assert str(shown) == "(self, device_id: 'str', *, timeout: 'float | None' = None) -> 'Device'"
