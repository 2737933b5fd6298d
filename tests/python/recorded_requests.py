"""Calls whose requests and results were recorded from the official package (tests/golden/golden_all_methods.json).

Each has the recorder's name for it, and what the hub answered. They are made through managers of either kind: those
that block and those that await.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Callable

from ferrohub.service import models
from recording_hub import JSON, Answer

NO_CONTENT = Answer(204, "No Content", b"")
CREATED = Answer(201, "Created")
EMPTY_LIST = Answer(body=b"[]")


@dataclass
class Recorded:
    """A call of a manager (of `azure.iot.hub` or its `aio`), the hub's answer, and how the result was written down."""

    manager: str
    call: Callable[[Any], Any]
    answer: Answer
    shown: Callable[[Any], Any] = lambda result: result


def registry(call: Callable[[Any], Any], answer: Answer | None = None, shown: Any = lambda result: result) -> Recorded:
    return Recorded("IoTHubRegistryManager", call, answer or Answer(), shown)


def configurations(call: Callable[[Any], Any], answer: Answer | None = None) -> Recorded:
    return Recorded("IoTHubConfigurationManager", call, answer or Answer())


def jobs(call: Callable[[Any], Any], answer: Answer | None = None) -> Recorded:
    return Recorded("IoTHubJobManager", call, answer or Answer())


def feedback(call: Callable[[Any], Any], answer: Answer | None = None) -> Recorded:
    return Recorded("IoTHubHttpRuntimeManager", call, answer or Answer())


def digital_twins(call: Callable[[Any], Any], answer: Answer | None = None) -> Recorded:
    return Recorded("DigitalTwinClient", call, answer or Answer())


SAS = ("d", "pk", "sk", "enabled")
EDGE = "ms-azure-iot-edge://p-1"
BAD = (
    b'{"Message":"ErrorCode:ArgumentInvalid;bad",'
    b'"ExceptionMessage":"Tracking ID:987573ab94334e77a1cd0beb671a71c4-G:5-TimeStamp:09/28/2024 17:31:56"}'
)


def ca_device(etag: Any) -> Recorded:
    return registry(lambda m: m.update_device_with_certificate_authority("d", etag, "enabled"))


DEVICES = {
    "create_device_with_sas('d','pk','sk','enabled')": registry(lambda m: m.create_device_with_sas(*SAS)),
    "create_device_with_sas full edge parent str": registry(
        lambda m: m.create_device_with_sas("d", "pk", "sk", "disabled", True, "why", EDGE, EDGE)
    ),
    "create_device_with_sas None keys": registry(
        lambda m: m.create_device_with_sas("d", None, None, "enabled", parent_scopes=["a", "b"])
    ),
    "create_device_with_x509": registry(lambda m: m.create_device_with_x509("d", "T1", "T2", "enabled")),
    "create_device_with_certificate_authority": registry(
        lambda m: m.create_device_with_certificate_authority("d", "enabled")
    ),
    "update_device_with_sas etag=None": registry(lambda m: m.update_device_with_sas("d", None, "pk", "sk", "enabled")),
    "update_device_with_sas etag=abc": registry(lambda m: m.update_device_with_sas("d", "abc", "pk", "sk", "enabled")),
    'update_device_with_sas etag="abc"': registry(
        lambda m: m.update_device_with_sas("d", '"abc"', "pk", "sk", "enabled")
    ),
    "update_device_with_x509 etag='*'": registry(lambda m: m.update_device_with_x509("d", "*", "T1", "T2", "enabled")),
    "update_device_with_certificate_authority etag=''": ca_device(""),
    "update_device etag '\"' single quote char": ca_device('"'),
    'update_device etag W/"x"': ca_device('W/"x"'),
    "update_device etag int 5": ca_device(5),
    "update_device etag bytes": ca_device(b"abc"),
    "get_device": registry(lambda m: m.get_device("d")),
    "get_device special id": registry(lambda m: m.get_device("a b/c?d#e%f:g+h@i;j$k'l(m)n*o!p=q,r_s~t.\u00e9")),
    "get_device None": registry(lambda m: m.get_device(None)),
    "get_device ''": registry(lambda m: m.get_device("")),
    "get_device int": registry(lambda m: m.get_device(7)),
    "get_device braces": registry(lambda m: m.get_device("{x}")),
    "delete_device": registry(lambda m: m.delete_device("d"), NO_CONTENT),
    "delete_device etag": registry(lambda m: m.delete_device("d", "e1"), NO_CONTENT),
    "delete_device 200": registry(lambda m: m.delete_device("d")),
    "get_devices": registry(lambda m: m.get_devices(), EMPTY_LIST),
    "get_devices 10": registry(lambda m: m.get_devices(10), EMPTY_LIST),
    "get_devices '10'": registry(lambda m: m.get_devices("10"), EMPTY_LIST),
    "get_devices 'x'": registry(lambda m: m.get_devices("x"), EMPTY_LIST),
    "get_devices 2.7": registry(lambda m: m.get_devices(2.7), EMPTY_LIST),
}

MODULES = {
    "create_module_with_sas": registry(lambda m: m.create_module_with_sas("d", "m", "mgr", "pk", "sk"), CREATED),
    "create_module_with_sas None managed": registry(lambda m: m.create_module_with_sas("d", "m", None, "pk", "sk")),
    "create_module_with_x509": registry(lambda m: m.create_module_with_x509("d", "m", "mgr", "T1", "T2")),
    "create_module_with_certificate_authority": registry(
        lambda m: m.create_module_with_certificate_authority("d", "m", "mgr")
    ),
    "update_module_with_sas": registry(lambda m: m.update_module_with_sas("d", "m", "mgr", "e1", "pk", "sk")),
    "update_module_with_x509 None": registry(lambda m: m.update_module_with_x509("d", "m", "mgr", None, "T1", "T2")),
    "update_module_with_certificate_authority e1": registry(
        lambda m: m.update_module_with_certificate_authority("d", "m", "mgr", "e1")
    ),
    "get_module": registry(lambda m: m.get_module("d", "m")),
    "get_modules": registry(lambda m: m.get_modules("d"), EMPTY_LIST),
    "delete_module": registry(lambda m: m.delete_module("d", "m"), NO_CONTENT),
}

ONE_TO_IMPORT = models.ExportImportDevice(
    id="d",
    e_tag="e",
    import_mode="create",
    status="enabled",
    authentication=models.AuthenticationMechanism(
        type="sas", symmetric_key=models.SymmetricKey(primary_key="a", secondary_key="b")
    ),
    tags={"x": 1},
    properties=models.PropertyContainer(desired={"a": None}),
)
JUST_AN_ID = models.ExportImportDevice(id="d")
ALL_DEVICES = models.QuerySpecification(query="SELECT * FROM devices")
QUERY = models.QuerySpecification(query="q")
PAGE = (*JSON, ("x-ms-item-type", "Twin"), ("x-ms-continuation", "next"))

BULK_AND_QUERIES = {
    "bulk": registry(
        lambda m: m.bulk_create_or_update_devices([ONE_TO_IMPORT]),
        Answer(body=b'{"isSuccessful": true, "errors": [], "warnings": []}'),
    ),
    "bulk 400": registry(
        lambda m: m.bulk_create_or_update_devices([JUST_AN_ID]),
        Answer(400, "Bad Request", b'{"isSuccessful": false, "errors": [{"deviceId": "d"}], "warnings": []}'),
    ),
    "bulk 400 normal error body": registry(
        lambda m: m.bulk_create_or_update_devices([JUST_AN_ID]), Answer(400, "Bad Request", BAD)
    ),
    "bulk []": registry(lambda m: m.bulk_create_or_update_devices([])),
    "bulk None": registry(lambda m: m.bulk_create_or_update_devices(None)),
    "bulk dicts": registry(lambda m: m.bulk_create_or_update_devices([{"id": "d", "importMode": "create"}])),
    "get_service_statistics": registry(lambda m: m.get_service_statistics()),
    "get_device_registry_statistics": registry(lambda m: m.get_device_registry_statistics()),
    "query": registry(lambda m: m.query_iot_hub(ALL_DEVICES), Answer(body=b'[{"deviceId": "d"}]', headers=PAGE)),
    "query cont/max": registry(lambda m: m.query_iot_hub(QUERY, "tok", 5), EMPTY_LIST),
    "query max str; none headers": registry(lambda m: m.query_iot_hub(QUERY, None, "5"), EMPTY_LIST, vars),
    "query raw count": registry(
        lambda m: m.query_iot_hub(QUERY), Answer(body=b'[{"n": 5}]'), lambda page: [str(row) for row in page.items]
    ),
    "query raw scalar list": registry(lambda m: m.query_iot_hub(QUERY), Answer(body=b"[5]")),
    "query None": registry(lambda m: m.query_iot_hub(None)),
    "query dict": registry(lambda m: m.query_iot_hub({"query": "q"}), EMPTY_LIST),
    "query str": registry(lambda m: m.query_iot_hub("q")),
}


def _desired(interval: int) -> models.Twin:
    twin = models.Twin()
    twin.properties = models.TwinProperties(desired={"telemetryInterval": interval})
    return twin


def _with(**attributes: Any) -> models.Twin:
    twin = models.Twin()
    vars(twin).update(attributes)
    return twin


ODD_VALUES = {
    "f": 1.5,
    "b": True,
    "by": b"x",
    "dt": dt.datetime(2024, 1, 1),
    "s": {1},
    "t": (1, 2),
    "nan": None,
    "i": 10**20,
}

TWINS = {
    "get_twin": registry(lambda m: m.get_twin("d")),
    "replace_twin": registry(
        lambda m: m.replace_twin(
            "d",
            models.Twin(
                tags={"a": {"b": None, "c": 1}}, properties=models.TwinProperties(desired={"x": [1, {"y": 2}]})
            ),
            "e1",
        )
    ),
    "update_twin None etag": registry(lambda m: m.update_twin("d", models.Twin(tags={"a": None}))),
    "update_twin dict body": registry(
        lambda m: m.update_twin("d", {"tags": {"a": 1}, "properties": {"desired": {"z": 1}}})
    ),
    "update_twin with etag in model": registry(
        lambda m: m.update_twin(
            "d", models.Twin(etag="inner", version=3, status_update_time="2024-01-02T03:04:05.678Z")
        )
    ),
    "update_twin Twin() empty": registry(lambda m: m.update_twin("d", models.Twin())),
    "update_twin None": registry(lambda m: m.update_twin("d", None)),
    "update_twin unknown attr": registry(lambda m: m.update_twin("d", _with(foo=1))),
    "update_twin additional_properties set": registry(
        lambda m: m.update_twin("d", _with(tags={"a": 1}, additional_properties={"foo": 1}))
    ),
    "update_twin unicode/nonascii": registry(lambda m: m.update_twin("d", models.Twin(tags={"k": "\u00e9\u2603"}))),
    "update_twin floats/bool/bytes/datetime/set": registry(lambda m: m.update_twin("d", models.Twin(tags=ODD_VALUES))),
    "update_twin tags not dict": registry(lambda m: m.update_twin("d", _with(tags=5))),
    "update_twin tags list": registry(lambda m: m.update_twin("d", _with(tags=[1]))),
    "update_twin version str": registry(lambda m: m.update_twin("d", _with(version="x"))),
    "get_module_twin": registry(lambda m: m.get_module_twin("d", "m")),
    "replace_module_twin": registry(
        lambda m: m.replace_module_twin("d", "m", models.Twin(properties=models.TwinProperties(desired={"x": 1})))
    ),
    "update_module_twin tutorial": registry(lambda m: m.update_module_twin("d", "m", _desired(122), "AAAAAAAAAAE=")),
}


def _method(**attributes: Any) -> models.CloudToDeviceMethod:
    return models.CloudToDeviceMethod(method_name="r", **attributes)


METHODS = {
    "invoke_device_method": registry(
        lambda m: m.invoke_device_method(
            "d", _method(payload={"a": 1}, response_timeout_in_seconds=30, connect_timeout_in_seconds=5)
        ),
        Answer(body=b'{"status": 200, "payload": {"ok": true}}'),
    ),
    "invoke_device_method None payload": registry(
        lambda m: m.invoke_device_method("d", _method()), Answer(body=b'{"status": 200, "payload": null}')
    ),
    "invoke_device_method str payload": registry(
        lambda m: m.invoke_device_method("d", _method(payload='{"a":1}')),
        Answer(body=b'{"status": 201, "payload": "x"}'),
    ),
    "invoke_device_module_method": registry(lambda m: m.invoke_device_module_method("d", "m", _method(payload=[1]))),
}

CONFIGURATION = models.Configuration(
    id="c",
    labels={"l": "v"},
    content=models.ConfigurationContent(device_content={"properties.desired.x": {"a": 1}}),
    target_condition="tags.a='b'",
    priority=10,
    metrics=models.ConfigurationMetrics(queries={"q": "select"}),
)

CONFIGURATIONS = {
    "get_configuration": configurations(lambda m: m.get_configuration("c")),
    "create_configuration": configurations(lambda m: m.create_configuration(CONFIGURATION)),
    "create_configuration 201": configurations(
        lambda m: m.create_configuration(CONFIGURATION), Answer(201, "Created", b'{"id": "c"}')
    ),
    "update_configuration e1": configurations(lambda m: m.update_configuration(CONFIGURATION, "e1")),
    "update_configuration None": configurations(lambda m: m.update_configuration(CONFIGURATION, None)),
    "delete_configuration": configurations(lambda m: m.delete_configuration("c"), NO_CONTENT),
    "delete_configuration e1": configurations(lambda m: m.delete_configuration("c", "e1"), NO_CONTENT),
    "get_configurations": configurations(lambda m: m.get_configurations(), EMPTY_LIST),
    "get_configurations 5": configurations(lambda m: m.get_configurations(5), EMPTY_LIST),
    "test_configuration_queries": configurations(
        lambda m: m.test_configuration_queries(
            models.ConfigurationQueriesTestInput(target_condition="t", custom_metric_queries={"a": "b"})
        )
    ),
    "apply_configuration_on_edge_device": configurations(
        lambda m: m.apply_configuration_on_edge_device(
            "d", models.ConfigurationContent(modules_content={"$edgeAgent": {"properties.desired": {"a": 1}}})
        ),
        NO_CONTENT,
    ),
}

EXPORT = models.JobProperties(
    type="export",
    output_blob_container_uri="https://x",
    exclude_keys_in_export=False,
    storage_authentication_type="keyBased",
    identity=models.ManagedIdentity(user_assigned_identity="id"),
)
TWIN_JOB = models.JobRequest(
    job_id="j",
    type="scheduleUpdateTwin",
    update_twin=models.Twin(etag="*", properties=models.TwinProperties(desired={"a": 1})),
    query_condition="q",
    start_time="2024-01-01T00:00:00Z",
    max_execution_time_in_seconds=60,
)
EARLIER_ZONE = dt.timezone(dt.timedelta(hours=2))
METHOD_JOB = models.JobRequest(
    cloud_to_device_method=models.CloudToDeviceMethod(method_name="m"),
    start_time=dt.datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=EARLIER_ZONE),
)

JOBS = {
    "create_import_export_job": jobs(lambda m: m.create_import_export_job(EXPORT)),
    "get_import_export_jobs": jobs(lambda m: m.get_import_export_jobs(), EMPTY_LIST),
    "get_import_export_job": jobs(lambda m: m.get_import_export_job("j")),
    "cancel_import_export_job 200": jobs(lambda m: m.cancel_import_export_job("j"), Answer(body=b'{"x": 1}')),
    "cancel_import_export_job 204": jobs(lambda m: m.cancel_import_export_job("j"), NO_CONTENT),
    "create_scheduled_job": jobs(lambda m: m.create_scheduled_job("j", TWIN_JOB)),
    "create_scheduled_job dt": jobs(lambda m: m.create_scheduled_job("j", METHOD_JOB)),
    "get_scheduled_job": jobs(lambda m: m.get_scheduled_job("j")),
    "cancel_scheduled_job": jobs(lambda m: m.cancel_scheduled_job("j")),
    "query_scheduled_jobs": jobs(lambda m: m.query_scheduled_jobs("scheduleUpdateTwin", "completed")),
    "query_scheduled_jobs None": jobs(lambda m: m.query_scheduled_jobs(None, None), EMPTY_LIST),
    "query_scheduled_jobs list body": jobs(lambda m: m.query_scheduled_jobs(None, None), EMPTY_LIST),
}

FEEDBACK = {
    "receive_feedback_notification 200": feedback(
        lambda m: m.receive_feedback_notification(), Answer(body=b'[{"originalMessageId": "1"}]')
    ),
    "receive_feedback_notification 204": feedback(lambda m: m.receive_feedback_notification(), NO_CONTENT),
    "complete_feedback_notification": feedback(lambda m: m.complete_feedback_notification("lock/1"), NO_CONTENT),
    "abandon_feedback_notification": feedback(lambda m: m.abandon_feedback_notification("lock"), NO_CONTENT),
}

PATCH = [{"op": "add", "path": "/a", "value": 1}]
ACCEPTED = Answer(202, "Accepted", b"")

DIGITAL_TWINS = {
    "get_digital_twin": digital_twins(
        lambda m: m.get_digital_twin("d"), Answer(body=b'{"$dtId": "d", "$metadata": {}}')
    ),
    "update_digital_twin": digital_twins(lambda m: m.update_digital_twin("d", PATCH), ACCEPTED),
    "update_digital_twin etag": digital_twins(lambda m: m.update_digital_twin("d", PATCH, "e1"), ACCEPTED),
    "update_digital_twin 200": digital_twins(lambda m: m.update_digital_twin("d", [])),
    "update_digital_twin str": digital_twins(lambda m: m.update_digital_twin("d", "x")),
    "invoke_component_command": digital_twins(
        lambda m: m.invoke_component_command("d", "comp", "cmd", {"a": 1}, 5, 10), Answer(body=b'{"r": 1}')
    ),
    "invoke_command": digital_twins(lambda m: m.invoke_command("d", "cmd", "pay"), Answer(body=b'"ok"')),
    "invoke_command None": digital_twins(lambda m: m.invoke_command("d", "cmd", None)),
    "invoke_command '' ": digital_twins(lambda m: m.invoke_command("d", "cmd", "")),
    "invoke_command timeouts 0": digital_twins(lambda m: m.invoke_command("d", "cmd", {}, 0, 0)),
}

RECORDED: dict[str, Recorded] = {
    **DEVICES,
    **MODULES,
    **BULK_AND_QUERIES,
    **TWINS,
    **METHODS,
    **CONFIGURATIONS,
    **JOBS,
    **FEEDBACK,
    **DIGITAL_TWINS,
}
