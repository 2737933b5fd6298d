"""A back end that works through the registry and its twins, and writes down what it sees: for either package.

Run as a program with a connection string, the address of a blob container and a Python that has `azure.iot.hub`,
Microsoft's or ours. Each line is a step and its outcome as JSON: the result with JSON names, or the kind of error with
the hub's answer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from azure.iot.hub import (
    DigitalTwinClient,
    IoTHubConfigurationManager,
    IoTHubHttpRuntimeManager,
    IoTHubJobManager,
    IoTHubRegistryManager,
)
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    ExportImportDevice,
    JobProperties,
    JobRequest,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from msrest.exceptions import ClientRequestError, HttpOperationError, ValidationError

KEY, OTHER_KEY = "c2VjcmV0LWtleS1mb3ItdGVzdGluZy1vbmx5LTAwMDE=", "c2VjcmV0LWtleS1mb3ItdGVzdGluZy1vbmx5LTAwMDI="
THUMBPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
Step = tuple[str, Callable[[], Any]]


def desired(**properties: Any) -> Twin:
    return Twin(properties=TwinProperties(desired=properties))


def identities(registry: IoTHubRegistryManager) -> Iterator[Step]:
    yield "create a device", lambda: registry.create_device_with_sas("d", KEY, OTHER_KEY, "enabled")
    yield "create it again", lambda: registry.create_device_with_sas("d", KEY, OTHER_KEY, "enabled")
    yield (
        "with keys of the hub",
        lambda: registry.create_device_with_sas("made", "", "", "disabled", status_reason="why"),
    )
    yield "with thumbprints", lambda: registry.create_device_with_x509("x", THUMBPRINT, THUMBPRINT, "enabled")
    yield "by an authority", lambda: registry.create_device_with_certificate_authority("ca", "enabled")
    yield "an edge device", lambda: registry.create_device_with_sas("edge", KEY, OTHER_KEY, "enabled", iot_edge=True)
    yield "its modules", lambda: sorted(module.module_id for module in registry.get_modules("edge"))
    yield "its agent", lambda: registry.get_module("edge", "$edgeAgent")
    yield "its agent's twin", lambda: registry.update_module_twin("edge", "$edgeAgent", desired(modules={}))
    yield "a module of the hub's own name", lambda: registry.create_module_with_sas("edge", "$mine", "", "", "")
    yield (
        "an edge device without its scope",
        lambda: registry.update_device_with_sas("edge", None, KEY, OTHER_KEY, "enabled", iot_edge=True),
    )
    yield (
        "an edge device with it",
        lambda: registry.update_device_with_sas(
            "edge",
            None,
            KEY,
            OTHER_KEY,
            "enabled",
            iot_edge=True,
            device_scope=registry.get_device("edge").device_scope,
        ),
    )
    yield (
        "a child of it",
        lambda: registry.create_device_with_sas(
            "leaf", KEY, OTHER_KEY, "enabled", device_scope=registry.get_device("edge").device_scope
        ),
    )
    yield "a bad name", lambda: registry.create_device_with_sas("a b", "", "", "enabled")
    yield "a bad status", lambda: registry.create_device_with_sas("e", "", "", "flying")
    yield "a bad key", lambda: registry.create_device_with_sas("e", "no key", "no key", "enabled")
    yield "read", lambda: registry.get_device("d")
    yield "read none", lambda: registry.get_device("nobody")
    yield "read None", lambda: registry.get_device(None)  # type: ignore[arg-type]
    yield "list", lambda: sorted(device.device_id for device in registry.get_devices())
    yield "list two", lambda: len(registry.get_devices(2))
    yield "update", lambda: registry.update_device_with_sas("d", None, OTHER_KEY, KEY, "disabled", status_reason="off")
    yield (
        "update if unchanged",
        lambda: registry.update_device_with_sas("d", registry.get_device("d").etag, KEY, OTHER_KEY, "enabled"),
    )
    yield "update though changed", lambda: registry.update_device_with_sas("d", "c3RhbGU=", KEY, OTHER_KEY, "enabled")
    yield "update none", lambda: registry.update_device_with_sas("nobody", None, KEY, OTHER_KEY, "enabled")
    yield "to thumbprints", lambda: registry.update_device_with_x509("made", None, THUMBPRINT, THUMBPRINT, "enabled")
    yield "to an authority", lambda: registry.update_device_with_certificate_authority("made", None, "enabled")
    yield "delete though changed", lambda: registry.delete_device("made", "c3RhbGU=")
    yield "delete", lambda: registry.delete_device("made")
    yield "delete again", lambda: registry.delete_device("made")
    yield "statistics", registry.get_device_registry_statistics
    yield "connected", registry.get_service_statistics


def modules(registry: IoTHubRegistryManager) -> Iterator[Step]:
    yield "create a module", lambda: registry.create_module_with_sas("d", "m", "", KEY, OTHER_KEY)
    yield "create it again", lambda: registry.create_module_with_sas("d", "m", "", KEY, OTHER_KEY)
    yield "of no device", lambda: registry.create_module_with_sas("nobody", "m", "", "", "")
    yield "with thumbprints", lambda: registry.create_module_with_x509("d", "mx", "me", THUMBPRINT, THUMBPRINT)
    yield "by an authority", lambda: registry.create_module_with_certificate_authority("d", "mca", "me")
    yield "read", lambda: registry.get_module("d", "m")
    yield "read none", lambda: registry.get_module("d", "nobody")
    yield "list", lambda: sorted(module.module_id for module in registry.get_modules("d"))
    yield "update", lambda: registry.update_module_with_sas("d", "m", "somebody", None, OTHER_KEY, KEY)
    yield "to an authority", lambda: registry.update_module_with_certificate_authority("d", "m", "me", None)
    yield "update though changed", lambda: registry.update_module_with_sas("d", "m", "", "c3RhbGU=", KEY, OTHER_KEY)
    yield "delete", lambda: registry.delete_module("d", "mx")
    yield "delete again", lambda: registry.delete_module("d", "mx")


def twins(registry: IoTHubRegistryManager) -> Iterator[Step]:
    yield "read", lambda: registry.get_twin("d")
    yield "update", lambda: registry.update_twin("d", desired(a={"b": [1, 2.5, True]}, c="é"))
    yield "tags", lambda: registry.update_twin("d", Twin(tags={"site": "north", "number": 10**15}))
    yield "remove", lambda: registry.update_twin("d", desired(a=None))
    yield "as a dict", lambda: registry.update_twin("d", {"properties": {"desired": {"d": 1}}})
    yield "if unchanged", lambda: registry.update_twin("d", desired(e=1), registry.get_twin("d").etag)
    yield "though changed", lambda: registry.update_twin("d", desired(e=2), "AAAAAAAAAAE=")
    yield (
        "replace",
        lambda: registry.replace_twin("d", Twin(tags={"x": 1}, properties=TwinProperties(desired={"y": 2}))),
    )
    yield "a bad name", lambda: registry.update_twin("d", desired(**{"a b": 1, "$c": 2}))
    yield "of none", lambda: registry.get_twin("nobody")
    yield "of a module", lambda: registry.get_module_twin("d", "m")
    yield "update a module's", lambda: registry.update_module_twin("d", "m", desired(a=1))
    yield "replace a module's", lambda: registry.replace_module_twin("d", "m", desired(b=1))
    yield "of no module", lambda: registry.get_module_twin("d", "nobody")


def methods(registry: IoTHubRegistryManager) -> Iterator[Step]:
    method = CloudToDeviceMethod(method_name="reboot", payload={"now": True})
    yield "of a device that is away", lambda: registry.invoke_device_method("d", method)
    yield "of a module that is away", lambda: registry.invoke_device_module_method("d", "m", method)
    yield "of none", lambda: registry.invoke_device_method("nobody", method)
    bad = CloudToDeviceMethod(method_name="reboot", response_timeout_in_seconds=1)
    yield "with no time", lambda: registry.invoke_device_method("d", bad)


def many(registry: IoTHubRegistryManager) -> Iterator[Step]:
    new = ExportImportDevice(id="bulk", import_mode="create", status="enabled", tags={"site": "south"})
    yield "create in bulk", lambda: registry.bulk_create_or_update_devices([new])
    yield "create again", lambda: registry.bulk_create_or_update_devices([new, {"id": "b2", "importMode": "create"}])
    query = QuerySpecification(query="SELECT deviceId FROM devices WHERE deviceId = 'd'")
    yield "query", lambda: vars(registry.query_iot_hub(query))


def others(connection_string: str) -> Iterator[Step]:
    registry = IoTHubRegistryManager(connection_string)
    messages = registry.protocol.cloud_to_device_messages
    yield "take messages back", lambda: messages.purge_cloud_to_device_message_queue("d")
    yield "take them from nobody", lambda: messages.purge_cloud_to_device_message_queue("nobody")
    yield "feedback", IoTHubHttpRuntimeManager(connection_string).receive_feedback_notification


def configurations(connection_string: str) -> Iterator[Step]:
    manager, registry = IoTHubConfigurationManager(connection_string), IoTHubRegistryManager(connection_string)
    content = ConfigurationContent(device_content={"properties.desired.limits": {"low": 1}})
    metrics = ConfigurationMetrics(queries={"all": "SELECT deviceId FROM devices WHERE deviceId = 'd'"})
    new = Configuration(
        id="c", content=content, target_condition="tags.zone='west'", priority=10, labels={"a": "b"}, metrics=metrics
    )
    yield "create", lambda: manager.create_configuration(new)
    yield "create again", lambda: manager.create_configuration(new)
    yield "read", lambda: manager.get_configuration("c")
    yield "target", lambda: registry.update_twin("d", Twin(tags={"zone": "west"})).tags
    yield "applied", lambda: until(lambda: applied_count(manager, "c"), 1)
    yield "desired", lambda: registry.get_twin("d").properties.desired["limits"]
    yield "in the twin", lambda: registry.get_twin("d").additional_properties
    is_applied = QuerySpecification(query="SELECT deviceId FROM devices WHERE configurations.[[c]].status = 'Applied'")
    yield "query", lambda: vars(registry.query_iot_hub(is_applied))
    other = ConfigurationContent(device_content={"properties.desired.other": 1})
    changed = Configuration(id="c", content=other, target_condition="", priority=2)
    yield "change without quotes", lambda: manager.update_configuration(changed, manager.get_configuration("c").etag)
    yield "though changed", lambda: manager.update_configuration(changed, '"c3RhbGU="')
    yield "change", lambda: manager.update_configuration(changed, f'"{manager.get_configuration("c").etag}"')
    yield "no longer applied", lambda: until(lambda: applied_count(manager, "c"), 0)
    yield "taken back", lambda: registry.get_twin("d").properties.desired.get("limits")
    yield "list", lambda: [one.id for one in manager.get_configurations()]
    yield "list some", lambda: [one.id for one in manager.get_configurations(1)]
    fine = ConfigurationQueriesTestInput(target_condition="tags.a = 1", custom_metric_queries={"a": "SELECT *"})
    yield "test queries", lambda: manager.test_configuration_queries(fine)
    mixed = ConfigurationContent(device_content={}, module_content={})
    yield "mixed content", lambda: manager.create_configuration(Configuration(id="m", content=mixed))
    yield (
        "bad target",
        lambda: manager.create_configuration(Configuration(id="m", content=other, target_condition="tags.a =")),
    )
    yield "bad id", lambda: manager.create_configuration(Configuration(id="Upper", content=other))
    on_edge = ConfigurationContent(modules_content={"$edgeAgent": {"properties.desired": {"a": 1}}})
    yield "on an edge device", lambda: manager.apply_configuration_on_edge_device("edge", on_edge)
    yield "its agent", lambda: registry.get_module_twin("edge", "$edgeAgent").properties.desired["a"]
    yield "on no edge device", lambda: manager.apply_configuration_on_edge_device("d", on_edge)
    yield "delete", lambda: manager.delete_configuration("c")
    yield "delete again", lambda: manager.delete_configuration("c")
    yield "read none", lambda: manager.get_configuration("c")


def applied_count(manager: IoTHubConfigurationManager, configuration_id: str) -> Any:
    return manager.get_configuration(configuration_id).system_metrics.results["appliedCount"]


def until(look: Callable[[], Any], expected: Any) -> Any:
    """Ask until the answer is the expected one, which comes soon."""
    deadline = time.monotonic() + 20
    while look() != expected:
        if time.monotonic() > deadline:
            return f"never {expected}"
    return expected


def digital_twins(connection_string: str) -> Iterator[Step]:
    client = DigitalTwinClient(connection_string)
    add = {"op": "add", "path": "/heater/target", "value": 21.5}
    yield "of none", lambda: client.get_digital_twin("nobody")
    yield "patch", lambda: client.update_digital_twin("d", [add])
    yield "read", lambda: client.get_digital_twin("d")["heater"]["$metadata"]["target"]["desiredValue"]
    yield "patch though changed", lambda: client.update_digital_twin("d", [add], "AAAAAAAAAAE=")
    yield "no component", lambda: client.update_digital_twin("d", [{**add, "path": "/heater"}])
    yield "no patch", lambda: client.update_digital_twin("d", [{"op": "move"}])
    yield "command", lambda: client.invoke_command("d", "blink", {"times": 3})
    yield "command of a component", lambda: client.invoke_component_command("d", "heater", "blink", None)
    yield "with times", lambda: client.invoke_command("d", "blink", 1, 31, 30)


def scheduled_jobs(jobs: IoTHubJobManager, registry: IoTHubRegistryManager) -> Iterator[Step]:
    def job(**changes: Any) -> JobRequest:
        twin = Twin(etag="*", tags={"done": True}, properties=TwinProperties(desired={"j": 1}))
        usual = {"type": "scheduleUpdateTwin", "update_twin": twin, "query_condition": "deviceId IN ['d', 'bulk']"}
        return JobRequest(**{**usual, **changes})

    def done(name: str) -> Any:
        while (found := jobs.get_scheduled_job(name)).status in ("queued", "running"):
            pass
        return found

    yield "change twins", lambda: jobs.create_scheduled_job("twins", job())
    yield "changed", lambda: done("twins")
    yield "the twin", lambda: registry.get_twin("d")
    yield "again", lambda: jobs.create_scheduled_job("twins", job())
    yield "a bad name", lambda: jobs.create_scheduled_job("No_Name", job())
    yield "without an etag", lambda: jobs.create_scheduled_job("j", job(update_twin=desired(j=1)))
    yield "of another type", lambda: jobs.create_scheduled_job("j", job(type="export"))
    yield "a condition that can't be read", lambda: jobs.create_scheduled_job("bad", job(query_condition="tags.site ="))
    yield "not read", lambda: done("bad")
    method = CloudToDeviceMethod(method_name="reboot", payload={"now": True}, response_timeout_in_seconds=10)
    call = job(type="scheduleDeviceMethod", update_twin=None, cloud_to_device_method=method)
    yield "call a method", lambda: jobs.create_scheduled_job("method", call)
    yield "called", lambda: done("method")
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    later = job(start_time=tomorrow, max_execution_time_in_seconds=60)
    yield "tomorrow", lambda: jobs.create_scheduled_job("tomorrow", later)
    yield "one more", lambda: jobs.create_scheduled_job("more", job())
    yield "cancel", lambda: jobs.cancel_scheduled_job("tomorrow")
    yield "cancelled", lambda: jobs.get_scheduled_job("tomorrow")
    yield "cancel again", lambda: jobs.cancel_scheduled_job("tomorrow")
    yield "cancel nothing", lambda: jobs.cancel_scheduled_job("nothing")
    yield "in a month", lambda: jobs.create_scheduled_job("month", job(start_time=tomorrow + timedelta(days=30)))
    yield "read nothing", lambda: jobs.get_scheduled_job("nothing")
    query = QuerySpecification(query="SELECT * FROM devices.jobs WHERE jobId IN ['twins', 'method']")
    yield "their devices", lambda: vars(registry.query_iot_hub(query))


def imports_and_exports(jobs: IoTHubJobManager, container: str) -> Iterator[Step]:
    def done(job: JobProperties) -> Any:
        while (found := jobs.get_import_export_job(job.job_id)).status in ("enqueued", "running"):
            pass
        return found

    def start(kind: str, **properties: Any) -> Any:
        return jobs.create_import_export_job(
            JobProperties(type=kind, output_blob_container_uri=container, **properties)
        )

    yield "export", lambda: start("export", exclude_keys_in_export=True, include_configurations=True)
    yield "exported", lambda: done(jobs.get_import_export_jobs()[0])
    yield "import", lambda: done(start("import", input_blob_container_uri=container))
    yield "import nothing", lambda: done(start("import", input_blob_container_uri=container, input_blob_name="none"))
    yield "into no container", lambda: jobs.create_import_export_job(JobProperties(type="export"))
    yield "with a bad token", lambda: start("import", input_blob_container_uri=container.replace("sig=", "sig=A"))
    yield "all", lambda: [(job.type, job.status) for job in jobs.get_import_export_jobs()]
    yield "read nothing", lambda: jobs.get_import_export_job("nothing")
    yield "cancel nothing", lambda: jobs.cancel_import_export_job("nothing")
    yield "cancel too late", lambda: jobs.cancel_import_export_job(jobs.get_import_export_jobs()[0].job_id)


def outcome(step: Callable[[], Any]) -> Any:
    """What a step gives, as JSON."""
    try:
        return shown(step())
    except HttpOperationError as error:
        answer = error.response
        return [
            type(error).__name__,
            answer.status_code,
            answer.reason,
            answer.headers.get("iothub-errorcode"),
            answer.text,
        ]
    except (ClientRequestError, ValidationError, ValueError) as error:
        return [type(error).__name__, str(error)]


def shown(value: Any) -> Any:
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return {type(value).__name__: value.serialize()} if hasattr(value, "serialize") else value


def main() -> None:
    connection_string, container = sys.argv[1:]
    jobs = IoTHubJobManager(connection_string)
    registry = IoTHubRegistryManager(connection_string)
    parts: dict[str, Iterator[Step]] = {
        "identities": identities(registry),
        "modules": modules(registry),
        "twins": twins(registry),
        "methods": methods(registry),
        "many": many(registry),
        "others": others(connection_string),
        "configurations": configurations(connection_string),
        "digital twins": digital_twins(connection_string),
        "scheduled jobs": scheduled_jobs(jobs, registry),
        "imports and exports": imports_and_exports(jobs, container),
    }
    for part, steps in parts.items():
        for name, step in steps:
            print(json.dumps([f"{part}: {name}", outcome(step)], sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
