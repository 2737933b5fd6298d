"""The 30 models look and behave as the official ones, from their constructor to their JSON."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import pickle
import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Callable

import pytest
from ferrohub.service import models
from ferrohub.service.models import (
    AuthenticationMechanism,
    BulkRegistryOperationResult,
    CloudToDeviceMethod,
    ConfigurationContent,
    ConfigurationMetrics,
    Device,
    DeviceCapabilities,
    Module,
    QueryResult,
    QuerySpecification,
    SymmetricKey,
    Twin,
    TwinProperties,
)

Golden = Callable[[str], Any]
GOLDEN = Path(__file__).parents[2] / "golden"

NEVER = "0001-01-01T00:00:00"
AUTHENTICATION = {
    "type": "sas",
    "symmetricKey": {
        "primaryKey": "dGVzdFByaW1hcnlLZXlGb3JEb2NzT25seTAwMDAwMDA=",
        "secondaryKey": "dGVzdFNlY29uZGFyeUtleUZvckRvY3NPbmx5MDAwMDA=",
    },
    "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
}
DEVICE = {
    "deviceId": "myFirstDevice",
    "generationId": "637123456789012345",
    "etag": "ODAxMjMyNDI2",
    "connectionState": "Disconnected",
    "status": "enabled",
    "statusReason": None,
    "connectionStateUpdatedTime": NEVER,
    "statusUpdatedTime": NEVER,
    "lastActivityTime": NEVER,
    "cloudToDeviceMessageCount": 0,
    "authentication": AUTHENTICATION,
    "capabilities": {"iotEdge": False},
}
MODULE = {
    "moduleId": "myFirstModule",
    "managedBy": "",
    "deviceId": "myFirstDevice",
    "generationId": "637123456789099999",
    "etag": "NTg4NTI3MDA0",
    "connectionState": "Disconnected",
    "connectionStateUpdatedTime": NEVER,
    "lastActivityTime": NEVER,
    "cloudToDeviceMessageCount": 0,
    "authentication": AUTHENTICATION,
}
TWIN = {
    "deviceId": "myFirstDevice",
    "moduleId": "myFirstModule",
    "etag": "AAAAAAAAAAE=",
    "deviceEtag": "NTg4NTI3MDA0",
    "status": "enabled",
    "statusUpdateTime": f"{NEVER}Z",
    "connectionState": "Disconnected",
    "lastActivityTime": f"{NEVER}Z",
    "cloudToDeviceMessageCount": 0,
    "authenticationType": "sas",
    "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
    "modelId": "",
    "version": 2,
    "properties": {
        "desired": {"$metadata": {"$lastUpdated": "2024-03-01T10:15:30.1234567Z"}, "$version": 1},
        "reported": {"$metadata": {"$lastUpdated": "2024-03-01T10:15:30.1234567Z"}, "$version": 1},
    },
}


def test_every_model_has_the_attributes_json_names_and_types_of_the_official_one(golden: Golden) -> None:
    expected = golden("service_models.json")
    assert sorted(expected) == models.__all__
    for name, facts in expected.items():
        model = getattr(models, name)
        attributes = {attribute: {"key": row["json"], "type": row["type"]} for attribute, row in facts["attrs"].items()}
        assert model._attribute_map == attributes, name
        assert list(model().__dict__) == facts["dict_order"], name
        assert model().additional_properties == {}
        assert (model._validation, model._subtype_map) == ({}, {})


def test_every_constructor_is_keyword_only_and_says_so(golden: Golden) -> None:
    for name, facts in golden("service_models.json").items():
        parameters = inspect.signature(getattr(models, name)).parameters
        assert list(parameters) == [*facts["ctor_kwonly"], "kwargs"], name
        assert {parameters[attribute].kind for attribute in facts["ctor_kwonly"]} == {inspect.Parameter.KEYWORD_ONLY}
        assert {parameters[attribute].default for attribute in facts["ctor_kwonly"]} == {None}
        with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
            getattr(models, name)("x")


def test_repr_names_the_official_class(golden: Golden) -> None:
    for name, facts in golden("service_models.json").items():
        value = getattr(models, name)()
        assert repr(value) == f"<{facts['module']}.{name} object at {id(value):#x}>"


def test_printing_shows_the_attributes_in_order() -> None:
    expected = "{'additional_properties': {}, 'desired': {'telemetryInterval': 122}, 'reported': None}"
    assert str(TwinProperties(desired={"telemetryInterval": 122})) == expected
    assert (
        f"{SymmetricKey(primary_key='a')}" == "{'additional_properties': {}, 'primary_key': 'a', 'secondary_key': None}"
    )
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{Device():>10}"


def test_models_compare_by_their_attributes_and_are_unhashable() -> None:
    assert Twin(tags={"a": SymmetricKey(primary_key="k")}) == Twin(tags={"a": SymmetricKey(primary_key="k")})
    assert Twin(tags={}) != Twin()
    assert SymmetricKey() != TwinProperties()
    assert SymmetricKey() != {}
    changed = Twin()
    changed.note = "ad hoc"  # type: ignore[attr-defined]
    assert changed != Twin()
    assert changed.serialize() == {}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Twin())


def test_every_model_copies_and_pickles(golden: Golden) -> None:
    for name in golden("service_models.json"):
        value = getattr(models, name)()
        value.additional_properties["later"] = [1]
        assert copy.deepcopy(value) == copy.copy(value) == value
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - made a moment ago


def test_an_unknown_argument_is_a_logged_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="msrest.serialization"):
        assert SymmetricKey(primaryKey="x").primary_key is None  # type: ignore[call-arg]
    assert caplog.messages[0].startswith("primaryKey is not a known attribute of class <class ")
    assert caplog.messages[0].endswith(" and will be ignored")


def test_what_the_hub_sends_prints_as_with_the_official_package() -> None:
    device, module, twin = Device.deserialize(DEVICE), Module.deserialize(MODULE), Twin.deserialize(TWIN)
    printed = {
        "print(new_device)": device,
        "print(new_device.authentication)": device.authentication,
        "print(new_device.authentication.symmetric_key)": device.authentication.symmetric_key,
        "print(new_device.capabilities)": device.capabilities,
        "print(new_module)": module,
        "print(module_twin)": twin,
        "print('{0}'.format(module_twin.properties))": twin.properties,
        "as_dict module_twin": twin.as_dict(),
    }
    lines = (GOLDEN / "golden_prints.txt").read_text("utf-8").splitlines()
    official = {title.strip("# "): _without_addresses(text) for title, text in zip(lines[0::2], lines[1::2])}
    assert {title: _without_addresses(str(value)) for title, value in printed.items()} == official


def _without_addresses(text: str) -> str:
    text = re.sub(r" at 0x[0-9a-f]+>", ">", text)
    # Deliberate difference: UTC is datetime.timezone.utc, not isodate's class of the same meaning.
    return text.replace("<isodate.tzinfo.Utc object>", "datetime.timezone.utc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00", datetime(1, 1, 1)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=timezone.utc)),
        ("2024-01-01T23:59:59.123456789Z", datetime(2024, 1, 1, 23, 59, 59, 123456, timezone.utc)),
        ("2024-01-01t23:59:59.1z", datetime(2024, 1, 1, 23, 59, 59, 100000, timezone.utc)),
        ("2024-01-01T00:00:00+02:00", datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
        (
            "2024-01-01T00:00:00,12-0530",
            datetime(2024, 1, 1, 0, 0, 0, 120000, timezone(-timedelta(hours=5, minutes=30))),
        ),
        ("2024-01-01T00:00:00-05", datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=5)))),
    ],
)
def test_times_are_read_with_their_zone(text: str, expected: datetime) -> None:
    found = Twin.deserialize({"lastActivityTime": text}).last_activity_time
    assert found == expected
    assert found.utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2024, 1, 1, tzinfo=timezone.utc), "2024-01-01T00:00:00.000Z"),
        (datetime(2024, 1, 1, 0, 2, 3, 4, timezone(timedelta(hours=1))), "2023-12-31T23:02:03.000004Z"),
        (datetime(2024, 1, 1, microsecond=120000, tzinfo=timezone.utc), "2024-01-01T00:00:00.120Z"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_written_as_utc(value: Any, expected: str) -> None:
    assert Twin(last_activity_time=value).serialize() == {"lastActivityTime": expected}


def test_a_naive_time_counts_as_utc_with_a_logged_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="msrest.serialization"):
        naive = Twin(last_activity_time=datetime(2024, 1, 1))
        assert naive.as_dict() == {"last_activity_time": "2024-01-01T00:00:00.000Z"}
    assert caplog.messages == ["Datetime with no tzinfo will be considered UTC."]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, "5"), ("5", "5"), (1.5, "1.5"), (True, "True"), ([1], "[1]"), ({"a": 1}, "{'a': 1}"), (None, None)],
)
def test_text_attributes_take_any_value(value: Any, expected: Any) -> None:
    assert QuerySpecification.deserialize({"query": value}).query == expected


@pytest.mark.parametrize(("value", "expected"), [("200", 200), (200.9, 200), (True, 1), (10**30, 10**30), (None, None)])
def test_number_attributes_are_coerced(value: Any, expected: Any) -> None:
    assert Twin.deserialize({"version": value}).version == expected


def test_truth_attributes_are_coerced() -> None:
    cases = [
        (1, True),
        (0, False),
        ("1", True),
        ("0", False),
        ("TRUE", True),
        ("false", False),
        (1.0, True),
        (None, None),
    ]
    for value, expected in cases:
        assert DeviceCapabilities.deserialize({"iotEdge": value}).iot_edge is expected, value


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (Twin, {"version": "abc"}),
        (Twin, {"version": [1]}),
        (Twin, {"version": float("nan")}),
        (Twin, {"parentScopes": "x"}),
        (Twin, {"tags": 5}),
        (Twin, {"tags": [1]}),
        (Twin, {"properties": 5}),
        (Twin, {"lastActivityTime": "2024-01-01"}),
        (Twin, {"lastActivityTime": ""}),
        (Twin, {"lastActivityTime": 5}),
        (Twin, {"lastActivityTime": "2024-13-01T00:00:00Z"}),
        (Twin, {"lastActivityTime": "2024-01-01T24:00:00Z"}),
        (Twin, {"lastActivityTime": "2024-01-01T00:00:00Zjunk"}),
        (DeviceCapabilities, {"iotEdge": "x"}),
        (DeviceCapabilities, {"iotEdge": 2}),
        (ConfigurationMetrics, {"results": {"a": "x"}}),
        (ConfigurationContent, {"modulesContent": {"a": 5}}),
        (BulkRegistryOperationResult, {"errors": [5]}),
        (BulkRegistryOperationResult, {"errors": {"a": 1}}),
        (Twin, []),
        (Twin, 5),
        (Twin, '{"deviceId": "d"}'),
    ],
)
def test_data_that_does_not_fit_is_refused(model: Any, data: Any) -> None:
    from ferrohub.service import DeserializationError

    assert issubclass(DeserializationError, ValueError)
    with pytest.raises(DeserializationError, match=r"^Unable to deserialize"):
        model.deserialize(data)


def test_nested_data_is_read() -> None:
    assert ConfigurationContent.deserialize({"modulesContent": {"a": {"b": [1, None]}, "c": None}}).modules_content == {
        "a": {"b": [1, None]},
        "c": None,
    }
    assert ConfigurationMetrics.deserialize({"results": {"a": "1", "b": None}}).results == {"a": 1, "b": None}
    assert Twin.deserialize({"tags": [{"key": "a", "value": 1}]}).tags == {"a": 1}
    assert Twin.deserialize({"parentScopes": [None, 1]}).parent_scopes == [None, "1"]
    errors = BulkRegistryOperationResult.deserialize({"errors": [None, {"deviceId": "d"}]}).errors
    assert (errors[0], errors[1].device_id) == (None, "d")


def test_names_the_model_does_not_have_land_in_additional_properties() -> None:
    device = Device.deserialize(
        {"modelId": "m", "deviceId": "d", "authentication": {"x509Thumbprint": {"PrimaryThumbprint": "P"}}}
    )
    assert device.additional_properties == {"modelId": "m"}
    thumbprint = device.authentication.x509_thumbprint
    assert (thumbprint.primary_thumbprint, thumbprint.additional_properties) == (
        None,
        {"PrimaryThumbprint": "P"},
    )
    assert device.serialize() == {"deviceId": "d", "authentication": {"x509Thumbprint": {}}}


def test_json_text_is_read_when_the_content_type_says_so() -> None:
    assert Twin.deserialize('{"deviceId": "d"}', content_type="application/json").device_id == "d"
    assert Twin.from_dict('{"device_id": "d"}', content_type="application/json").device_id == "d"
    with pytest.raises(ValueError, match="JSON is invalid: Expecting ':' delimiter"):
        Twin.deserialize('{"deviceId"', content_type="application/json")


def test_from_dict_takes_either_spelling() -> None:
    twin = Twin.from_dict(
        {
            "device_id": "d",
            "DEVICEETAG": "e",
            "x509_thumbprint": {"primaryThumbprint": "a"},
            "foo": 2,
            "Tags": {"b": 1},
        }
    )
    assert (twin.device_id, twin.device_etag, twin.tags) == ("d", "e", {"b": 1})
    assert twin.x509_thumbprint.primary_thumbprint == "a"
    assert set(twin.additional_properties) == {"device_id", "DEVICEETAG", "x509_thumbprint", "foo", "Tags"}
    assert Twin.from_dict({"deviceId": "d", "device_id": "e"}).device_id == "e"
    only_upper = Twin.from_dict({"DEVICE_ID": "d"}, key_extractors=lambda name, _, data: data.get(name.upper()))
    assert only_upper.device_id == "d"


class _Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Twin(device_id=5), {"deviceId": "5"}),
        (Twin(status=_Colour.RED), {"status": "red"}),
        (Twin(version="30"), {"version": 30}),
        (Twin(version=1.9), {"version": 1}),
        (Twin(parent_scopes=(1, None, "a")), {"parentScopes": ["1", None, "a"]}),
        (Twin(tags={None: 1, 5: 2}), {"tags": {"None": 1, "5": 2}}),
        (Twin(tags={"a": None}), {"tags": {"a": None}}),
        (DeviceCapabilities(iot_edge="x"), {"iotEdge": True}),
        (DeviceCapabilities(iot_edge=""), {"iotEdge": False}),
        (Twin(properties={"desired": {"a": 1}}), {"properties": {"desired": {"a": 1}}}),
        (Twin(properties=SymmetricKey(primary_key="x")), {"properties": {"primaryKey": "x"}}),
        (
            ConfigurationMetrics(results={"a": "5"}, queries={"a": 5, "b": None}),
            {"results": {"a": 5}, "queries": {"a": "5", "b": None}},
        ),
        (
            QueryResult(items=[1, {"x": (1,)}, None, TwinProperties(desired={})]),
            {"items": [1, {"x": "(1,)"}, None, {"desired": {}}]},
        ),
        (CloudToDeviceMethod(payload=(1, 2)), {"payload": "(1, 2)"}),
        (CloudToDeviceMethod(payload=[]), {"payload": []}),
    ],
)
def test_values_are_coerced_when_written(value: Any, expected: Any) -> None:
    assert value.serialize() == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (_Colour.RED, "_Colour.RED"),
        (Decimal("1.5"), 1.5),
        (date(2024, 1, 2), "2024-01-02"),
        (time(1, 2), "01:02:00"),
        (timedelta(days=1, seconds=5), "P1DT5S"),
        (timedelta(minutes=90, microseconds=500000), "PT1H30M0.5S"),
        (timedelta(0), "P0D"),
        (-timedelta(hours=1), "-PT1H"),
        (datetime(2024, 1, 1, tzinfo=timezone.utc), "2024-01-01T00:00:00.000Z"),
        (b"x", "b'x'"),
        ({1}, "{1}"),
        (TwinProperties(desired={"a": None}), {"desired": {"a": None}}),
    ],
)
def test_any_value_within_free_json_is_written(value: Any, expected: Any) -> None:
    assert Twin(tags={"v": value}).serialize() == {"tags": {"v": expected}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            Twin(version="x"),
            "Unable to serialize value: 'x' as type: 'long'., ValueError: invalid literal for int()",
        ),
        (Twin(last_activity_time="x"), "Unable to serialize value: 'x' as type: 'iso-8601'., ValueError: "),
        (Twin(last_activity_time=5), "Unable to serialize value: 5 as type: 'iso-8601'., TypeError: "),
        (Twin(tags=5), "Attribute tags in object Twin cannot be serialized."),
        (
            Twin(parent_scopes="abc"),
            "Attribute parent_scopes in object Twin cannot be serialized., TypeError: Refuse str",
        ),
        (Twin(properties=5), "Unable to deserialize to object: TwinProperties"),
    ],
)
def test_values_that_do_not_fit_are_refused(value: Twin, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text.replace('(', '[(]').replace(')', '[)]')}"):
        value.serialize()


def test_validate_refuses_what_is_no_dict() -> None:
    from ferrohub.service import ValidationError

    assert Twin(tags={}, version="x").validate() == []
    with pytest.raises(ValidationError, match=r"^Parameter 'desired' must be of type 'dict\[str, object\]'$"):
        Twin(properties=TwinProperties(desired=5)).validate()


def test_as_dict_can_rename() -> None:
    twin = Twin(device_id="a", properties=TwinProperties(desired={"b": 1}))
    renamed = twin.as_dict(key_transformer=lambda name, facts, value: (f"{name}/{facts['key']}", value))
    assert renamed == {"device_id/deviceId": "a", "properties/properties": {"desired/desired": {"b": 1}}}


def test_additional_properties_are_sent_once_enabled() -> None:
    class Sending(SymmetricKey):
        pass

    value = Sending(primary_key="a")
    value.additional_properties = {"z": 1}
    assert value.serialize() == {"primaryKey": "a"}
    Sending.enable_additional_properties_sending()
    assert value.serialize() == {"primaryKey": "a", "z": 1}
    assert value.as_dict() == {"primary_key": "a", "z": 1}
    assert SymmetricKey._sends_additional_properties is False


def test_a_subclass_of_a_model_is_a_model() -> None:
    class Mine(AuthenticationMechanism):
        def __init__(self, label: str) -> None:
            super().__init__(type="sas")
            self.label = label

    assert list(inspect.signature(Mine).parameters) == ["label"]
    assert Mine("x").serialize() == {"type": "sas"}
    assert json.dumps(Mine("x").as_dict()) == '{"type": "sas"}'
