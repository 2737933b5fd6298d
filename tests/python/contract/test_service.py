"""Every callable of `azure.iot.hub` does what it is for: managers before a recorder, models with golden rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from azure.iot import hub as sdk
from azure.iot.hub import models
from ferrohub import LocalHub
from golden_requests import (
    assert_official_error,
    assert_official_requests,
    assert_official_result,
    golden,
    official_calls,
)
from recorded_requests import RECORDED
from recording_hub import Answer, Certificates, RecordingHub

pytestmark = pytest.mark.usefixtures("recorded")

OFFICIAL = official_calls()
MODELS: dict[str, Any] = golden("service_models.json")
TIME = "2024-01-02T03:04:05.678Z"


@pytest.fixture
def recorder(server_certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingHub]:
    """A recording hub whose CA is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server_certificates.ca))
    with RecordingHub(server_certificates) as recorder:
        yield recorder


@pytest.mark.parametrize("name", RECORDED)
def test_a_method_asks_and_gives_what_the_official_one_does(name: str, recorder: RecordingHub) -> None:
    recorded, official = RECORDED[name], OFFICIAL[name]
    recorder.answers = recorded.answer
    manager = getattr(sdk, recorded.manager).from_connection_string(recorder.connection_string())
    if "raise" in official["result"]:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is compared by name
            recorded.call(manager)
        assert_official_error(caught.value, official["result"])
    else:
        assert_official_result(recorded.shown(recorded.call(manager)), official["result"])
    assert_official_requests(recorder, official)


class Credential:
    """A token credential, as azure-identity has them."""

    def get_token(self, *scopes: str) -> Any:
        assert scopes == ("https://iothubs.azure.net/.default",)
        return type("Token", (), {"token": "jwt", "expires_on": 2**40})


@pytest.mark.parametrize("name", sdk.__all__)
def test_a_manager_is_made_from_a_host_name_and_a_credential(name: str, recorder: RecordingHub) -> None:
    recorder.answers = Answer(body=b"[]")
    manager = getattr(sdk, name).from_token_credential(f"localhost:{recorder.port}", Credential())
    manager.protocol.devices.get_devices()
    sent = {key.lower(): value for key, value in recorder.requests[0].headers.items()}
    assert sent["authorization"] == "Bearer jwt"


def test_a_message_waits_for_its_device(hub: LocalHub) -> None:
    manager = sdk.IoTHubRegistryManager(hub.connection_string)
    manager.create_device_with_sas("d", "", "", "enabled")
    assert manager.send_c2d_message("d", "hello", {"messageId": "1"}) is None
    assert manager.get_device("d").cloud_to_device_message_count == 1


def _sample(kind: str) -> Any:
    """A value of a type, as its JSON."""
    if kind.startswith("["):
        return [_sample(kind[1:-1])]
    if kind.startswith("{"):
        return {"key": _sample(kind[1:-1])}
    scalars = {"str": "text", "int": 7, "long": 2**40, "bool": True, "iso-8601": TIME, "object": {"any": [None, 1.5]}}
    if kind in scalars:
        return scalars[kind]
    return {row["json"]: _sample(row["type"]) for row in MODELS[kind]["attrs"].values()}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_read_and_written(name: str) -> None:
    cls = getattr(models, name)
    data = _sample(name)
    model = cls.deserialize(data)
    assert list(vars(model)) == MODELS[name]["dict_order"]
    assert model == cls.deserialize(json.dumps(data), "application/json")
    assert model.serialize() == data
    assert model.validate() == []
    attributes = MODELS[name]["attrs"]
    assert list(model.as_dict()) == list(attributes)
    assert cls.from_dict(model.as_dict()).serialize() == data
    assert cls(**{attribute: getattr(model, attribute) for attribute in attributes}) == model
    assert not cls.is_xml_model()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_can_send_what_it_does_not_know(name: str) -> None:
    official = getattr(models, name)
    cls: Any = type(name, (official,), {})
    cls.enable_additional_properties_sending()
    model = cls()
    model.additional_properties = {"unknown": 1}
    assert model.serialize() == {"unknown": 1}
    assert official.deserialize({"unknown": 1}).serialize() == {}
