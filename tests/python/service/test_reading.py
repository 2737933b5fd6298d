"""The core reads answers as `deserialize` does, and leaves to it what is unusual."""

from __future__ import annotations

import gc
import json
import random
from typing import Any

import pytest
from ferrohub.service import models
from ferrohub.service.model import MODELS, Model
from ferrohub.service.operation import Many, One
from golden_requests import golden

TIME = "2026-11-24T10:00:00.1234567Z"
METADATA = {"$lastUpdated": TIME, "a": {"$lastUpdated": TIME, "$lastUpdatedVersion": 2}}
TWIN = {
    "deviceId": "d",
    "etag": "AAAAAAAAAAI=",
    "status": "enabled",
    "statusUpdateTime": "0001-01-01T00:00:00Z",
    "lastActivityTime": TIME,
    "cloudToDeviceMessageCount": 0,
    "x509Thumbprint": {"primaryThumbprint": None, "secondaryThumbprint": None},
    "modelId": "",
    "version": 3,
    "tags": {
        "site": 'a "b" \\ \u00fc \U0001f600 \u2028',
        "floor": -1.5e-7,
        "empty": {},
        "none": [],
        "": [1, "", None, True],
    },
    "properties": {"desired": {"a": 1, "$metadata": METADATA, "$version": 2}, "reported": {}},
    "capabilities": {"iotEdge": False},
    "parentScopes": ["a", "b"],
}
USUAL = [
    (models.Twin, TWIN),
    (models.Twin, {}),
    (models.Twin, {"deviceId": None, "properties": None, "tags": None, "else": None}),
    # What coerces: a number where a text stands, and the reverse.
    (models.Twin, {"deviceId": 1, "version": "7", "tags": [{"key": "a", "value": 1}], "parentScopes": [None, 1]}),
    (models.Device, {"deviceId": "d", "authentication": {"symmetricKey": {"primaryKey": "a"}, "type": "sas"}}),
    (models.BulkRegistryOperationResult, {"isSuccessful": False, "errors": [None, {"deviceId": "d"}]}),
    (models.CloudToDeviceMethodResult, {"status": 200, "payload": [1.0, 1, 2**63 - 1, -(2**63), 1e300, 0.1]}),
    (models.JobResponse, {"updateTwin": TWIN, "deviceJobStatistics": {"deviceCount": 1}}),
]
UNUSUAL = [
    b"null",
    b"1",
    b"[]",
    b'"text"',
    b"",
    b"{",
    b'{"deviceId": "d"} {}',
    b'\xef\xbb\xbf{"deviceId": "d"}',
    b'{"deviceId": "\\ud800"}',
    b'{"deviceId": "\xff"}',
    b'{"tags": {"a": NaN, "b": Infinity}}',
    b'{"tags": {"a": 123456789012345678901234567890}}',
    b'{"version": "x"}',
    b'{"statusUpdateTime": "yesterday"}',
    b'{"properties": "none"}',
    b'{"x509Thumbprint": []}',
    b'{"tags": ' + b'{"a":' * 100 + b"1" + b"}" * 101,
]


def read_in_python(returns: One[Any] | Many[Any], content: bytes) -> Any:
    return returns(json.loads(content))


def shown(value: Any) -> Any:
    """A value with the types of all that it holds, and the order of what has one."""
    if isinstance(value, Model):
        return type(value).__name__, shown(value.__dict__)
    if isinstance(value, dict):
        return "dict", [(key, shown(member)) for key, member in value.items()]
    if isinstance(value, list):
        return "list", [shown(member) for member in value]
    return type(value).__name__, repr(value)


@pytest.mark.parametrize(("model", "data"), USUAL)
def test_an_answer_is_read_by_the_core_as_it_is_in_python(model: type[Model], data: Any) -> None:
    for ascii_only in (True, False):
        content = json.dumps(data, ensure_ascii=ascii_only).encode()
        read = One(model).quickly(content)
        assert shown(read) == shown(model.deserialize(json.loads(content)))
        rows = b"[" + content + b" ,\n" + content + b"]"
        assert shown(Many(model).quickly(rows)) == shown([read, read])


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_program_s_choice_of_collecting_garbage_stays(is_enabled: bool) -> None:
    (gc.enable if is_enabled else gc.disable)()
    try:
        for content in (b'[{"deviceId": "a"}]', b"[{", b'[{"version": "x"}]'):
            Many(models.Twin).quickly(content)
            assert gc.isenabled() is is_enabled
    finally:
        gc.enable()


def test_every_recorded_model_is_read_by_the_core() -> None:
    for name in golden("service_models.json"):
        model = MODELS[name]
        data = {json_name: example(codec.name) for _, json_name, codec in model._fields}
        content = json.dumps(data).encode()
        assert shown(One(model).quickly(content)) == shown(model.deserialize(data))


def example(kind: str) -> Any:
    """A value of one of the types of `codecs`."""
    if kind.startswith("["):
        return [example(kind[1:-1])]
    if kind.startswith("{"):
        return {"a": example(kind[1:-1])}
    if kind in MODELS:
        return {name: example(codec.name) for _, name, codec in MODELS[kind]._fields}
    return {"str": "text", "int": 1, "long": 2**40, "bool": True, "iso-8601": TIME, "object": {"a": [1, None]}}[kind]


@pytest.mark.parametrize("content", UNUSUAL)
def test_what_is_unusual_or_wrong_is_left_to_python(content: bytes) -> None:
    assert One(models.Twin).quickly(content) is None
    assert Many(models.Twin).quickly(b"[" + content + b"]") is None or content == b""


def test_a_name_that_comes_twice_counts_with_its_last_value() -> None:
    content = b'{"deviceId": "a", "deviceId": null, "tags": {"a": 1, "a": 2}, "x": 1, "x": 2}'
    assert shown(One(models.Twin).quickly(content)) == shown(read_in_python(One(models.Twin), content))


def test_random_twins_are_read_alike_a_thousand_times() -> None:
    chosen = random.Random(20261124)  # noqa: S311
    for _ in range(1000):
        data = {name: random_value(chosen, 3) for name in [*TWIN, "unknown"] if chosen.random() < 0.7}
        content = json.dumps(data, ensure_ascii=chosen.random() < 0.5).encode()
        read = One(models.Twin).quickly(content)
        if read is not None:
            assert shown(read) == shown(read_in_python(One(models.Twin), content))


def random_value(chosen: random.Random, depth: int) -> Any:
    kind = chosen.randrange(9 if depth else 6)
    if kind < 6:
        text = "".join(chosen.choice('aZ0 "\\/\n\té\u20ac\U0001f600') for _ in range(chosen.randrange(50)))
        return [None, True, chosen.randrange(-(2**63), 2**63), chosen.uniform(-1e9, 1e9), text, TIME][kind]
    if kind == 6:
        return [random_value(chosen, depth - 1) for _ in range(chosen.randrange(4))]
    return {
        chosen.choice(("a", "b", "long name of a property of a twin", "é")): random_value(chosen, depth - 1)
        for _ in range(4)
    }
