"""The 30 models of IoT Hub's REST interface, each declared once: attribute, type, and nothing else.

`model` reads the declarations; the JSON name is the attribute's in camelCase. All attributes are optional
and keyword-only. The hub leaves out what it has no value for, so any attribute may be None; they are
typed as the value or Any (`Maybe`), so that reading `device.authentication.symmetric_key.primary_key` needs
no assertions. `Long` marks 64-bit numbers.
https://learn.microsoft.com/rest/api/iothub/service/
"""

from __future__ import annotations

from ferrohub.service.model import Model, model

__all__ = [
    "AuthenticationMechanism",
    "BulkRegistryOperationResult",
    "CloudToDeviceMethod",
    "CloudToDeviceMethodResult",
    "Configuration",
    "ConfigurationContent",
    "ConfigurationMetrics",
    "ConfigurationQueriesTestInput",
    "ConfigurationQueriesTestResponse",
    "Device",
    "DeviceCapabilities",
    "DeviceJobStatistics",
    "DeviceRegistryOperationError",
    "DeviceRegistryOperationWarning",
    "ExportImportDevice",
    "JobProperties",
    "JobRequest",
    "JobResponse",
    "ManagedIdentity",
    "Module",
    "PropertyContainer",
    "PurgeMessageQueueResult",
    "QueryResult",
    "QuerySpecification",
    "RegistryStatistics",
    "ServiceStatistics",
    "SymmetricKey",
    "Twin",
    "TwinProperties",
    "X509Thumbprint",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any, TypeVar, Union

    Value = TypeVar("Value")
    Maybe = Union[Value, Any]
    Long = int


@model
class ConfigurationMetrics(Model):
    """What a configuration's metric queries counted: `results` by name, and the `queries` themselves."""

    results: Maybe[dict[str, Long]] = None
    queries: Maybe[dict[str, str]] = None


@model
class ConfigurationContent(Model):
    """What a configuration applies: to devices, to Edge modules (by module and path) or to modules."""

    device_content: Maybe[dict[str, Any]] = None
    modules_content: Maybe[dict[str, dict[str, Any]]] = None
    module_content: Maybe[dict[str, Any]] = None


@model
class Configuration(Model):
    """An automatic configuration or IoT Edge deployment and whom it targets."""

    id: Maybe[str] = None
    schema_version: Maybe[str] = None
    labels: Maybe[dict[str, str]] = None
    content: Maybe[ConfigurationContent] = None
    target_condition: Maybe[str] = None
    created_time_utc: Maybe[datetime] = None
    last_updated_time_utc: Maybe[datetime] = None
    priority: Maybe[int] = None
    system_metrics: Maybe[ConfigurationMetrics] = None
    metrics: Maybe[ConfigurationMetrics] = None
    etag: Maybe[str] = None


@model
class ConfigurationQueriesTestInput(Model):
    """A target condition and metric queries to be checked without storing them."""

    target_condition: Maybe[str] = None
    custom_metric_queries: Maybe[dict[str, str]] = None


@model
class ConfigurationQueriesTestResponse(Model):
    """What is wrong with a target condition and with each metric query; None where all is well."""

    target_condition_error: Maybe[str] = None
    custom_metric_query_errors: Maybe[dict[str, str]] = None


@model
class RegistryStatistics(Model):
    """How many devices the identity registry holds: in all, enabled, disabled."""

    total_device_count: Maybe[Long] = None
    enabled_device_count: Maybe[Long] = None
    disabled_device_count: Maybe[Long] = None


@model
class ServiceStatistics(Model):
    """How many devices are connected."""

    connected_device_count: Maybe[Long] = None


@model
class SymmetricKey(Model):
    """The two shared access keys of an identity, base64; `""` at creation lets the hub make them."""

    primary_key: Maybe[str] = None
    secondary_key: Maybe[str] = None


@model
class X509Thumbprint(Model):
    """The thumbprints (SHA-1 or SHA-256, hex) of the two self-signed certificates of an identity."""

    primary_thumbprint: Maybe[str] = None
    secondary_thumbprint: Maybe[str] = None


@model
class AuthenticationMechanism(Model):
    """How an identity proves who it is: `type` is `sas`, `selfSigned`, `certificateAuthority` or `none`."""

    symmetric_key: Maybe[SymmetricKey] = None
    x509_thumbprint: Maybe[X509Thumbprint] = None
    type: Maybe[str] = None


@model
class DeviceCapabilities(Model):
    """What a device can do: `iot_edge` makes it an IoT Edge device."""

    iot_edge: Maybe[bool] = None


@model
class Device(Model):
    """A device identity.

    `status` is `enabled` or `disabled`; `connection_state` is `Connected` or `Disconnected`; times the hub
    has never set are the year 1, without a time zone.
    """

    device_id: Maybe[str] = None
    generation_id: Maybe[str] = None
    etag: Maybe[str] = None
    connection_state: Maybe[str] = None
    status: Maybe[str] = None
    status_reason: Maybe[str] = None
    connection_state_updated_time: Maybe[datetime] = None
    status_updated_time: Maybe[datetime] = None
    last_activity_time: Maybe[datetime] = None
    cloud_to_device_message_count: Maybe[int] = None
    authentication: Maybe[AuthenticationMechanism] = None
    capabilities: Maybe[DeviceCapabilities] = None
    device_scope: Maybe[str] = None
    parent_scopes: Maybe[list[str]] = None


@model
class PropertyContainer(Model):
    """Desired and reported properties of a device to import or export."""

    desired: Maybe[dict[str, Any]] = None
    reported: Maybe[dict[str, Any]] = None


@model
class ExportImportDevice(Model):
    """A device or module of a bulk operation; `import_mode` says what to do (`create`, `update`, ...)."""

    id: Maybe[str] = None
    module_id: Maybe[str] = None
    e_tag: Maybe[str] = None
    import_mode: Maybe[str] = None
    status: Maybe[str] = None
    status_reason: Maybe[str] = None
    authentication: Maybe[AuthenticationMechanism] = None
    twin_etag: Maybe[str] = None
    tags: Maybe[dict[str, Any]] = None
    properties: Maybe[PropertyContainer] = None
    capabilities: Maybe[DeviceCapabilities] = None
    device_scope: Maybe[str] = None
    parent_scopes: Maybe[list[str]] = None


@model
class DeviceRegistryOperationError(Model):
    """Why one device of a bulk operation failed."""

    device_id: Maybe[str] = None
    error_code: Maybe[str] = None
    error_status: Maybe[str] = None
    module_id: Maybe[str] = None
    operation: Maybe[str] = None


@model
class DeviceRegistryOperationWarning(Model):
    """What the hub remarks about one device of a bulk operation."""

    device_id: Maybe[str] = None
    warning_code: Maybe[str] = None
    warning_status: Maybe[str] = None


@model
class BulkRegistryOperationResult(Model):
    """How a bulk operation ended."""

    is_successful: Maybe[bool] = None
    errors: Maybe[list[DeviceRegistryOperationError]] = None
    warnings: Maybe[list[DeviceRegistryOperationWarning]] = None


@model
class QuerySpecification(Model):
    """A query in IoT Hub's query language."""

    query: Maybe[str] = None


@model
class TwinProperties(Model):
    """A twin's properties: `desired` is written by services, `reported` by the device or module.

    Both are plain dicts; those read from the hub hold `$metadata` and `$version` beside the properties.
    """

    desired: Maybe[dict[str, Any]] = None
    reported: Maybe[dict[str, Any]] = None


@model
class Twin(Model):
    """A device or module twin: tags, desired and reported properties, a copy of the identity's state.

    `version` and `etag` change with tags and desired properties alike.
    """

    device_id: Maybe[str] = None
    module_id: Maybe[str] = None
    tags: Maybe[dict[str, Any]] = None
    properties: Maybe[TwinProperties] = None
    etag: Maybe[str] = None
    version: Maybe[Long] = None
    device_etag: Maybe[str] = None
    status: Maybe[str] = None
    status_reason: Maybe[str] = None
    status_update_time: Maybe[datetime] = None
    connection_state: Maybe[str] = None
    last_activity_time: Maybe[datetime] = None
    cloud_to_device_message_count: Maybe[int] = None
    authentication_type: Maybe[str] = None
    x509_thumbprint: Maybe[X509Thumbprint] = None
    capabilities: Maybe[DeviceCapabilities] = None
    device_scope: Maybe[str] = None
    parent_scopes: Maybe[list[str]] = None


@model
class ManagedIdentity(Model):
    """The user-assigned managed identity a job uses to reach its storage account."""

    user_assigned_identity: Maybe[str] = None


@model
class JobProperties(Model):
    """An import or export job. `progress` is in percent; times are UTC."""

    job_id: Maybe[str] = None
    start_time_utc: Maybe[datetime] = None
    end_time_utc: Maybe[datetime] = None
    type: Maybe[str] = None
    status: Maybe[str] = None
    progress: Maybe[int] = None
    input_blob_container_uri: Maybe[str] = None
    input_blob_name: Maybe[str] = None
    output_blob_container_uri: Maybe[str] = None
    output_blob_name: Maybe[str] = None
    exclude_keys_in_export: Maybe[bool] = None
    storage_authentication_type: Maybe[str] = None
    identity: Maybe[ManagedIdentity] = None
    failure_reason: Maybe[str] = None
    include_configurations: Maybe[bool] = None
    configurations_blob_name: Maybe[str] = None


@model
class PurgeMessageQueueResult(Model):
    """How many cloud-to-device messages were purged, and whose."""

    total_messages_purged: Maybe[int] = None
    device_id: Maybe[str] = None
    module_id: Maybe[str] = None


@model
class CloudToDeviceMethod(Model):
    """A direct method to call: `payload` is any JSON value, the timeouts are seconds (5 to 300, 0 to 300)."""

    method_name: Maybe[str] = None
    payload: Any = None
    response_timeout_in_seconds: Maybe[int] = None
    connect_timeout_in_seconds: Maybe[int] = None


@model
class JobRequest(Model):
    """A scheduled job: a direct method or a twin update for all devices of a query."""

    job_id: Maybe[str] = None
    type: Maybe[str] = None
    cloud_to_device_method: Maybe[CloudToDeviceMethod] = None
    update_twin: Maybe[Twin] = None
    query_condition: Maybe[str] = None
    start_time: Maybe[datetime] = None
    max_execution_time_in_seconds: Maybe[Long] = None


@model
class DeviceJobStatistics(Model):
    """How many devices of a scheduled job are pending, running, done, failed."""

    device_count: Maybe[int] = None
    failed_count: Maybe[int] = None
    succeeded_count: Maybe[int] = None
    running_count: Maybe[int] = None
    pending_count: Maybe[int] = None


@model
class JobResponse(Model):
    """A scheduled job and its state."""

    job_id: Maybe[str] = None
    query_condition: Maybe[str] = None
    created_time: Maybe[datetime] = None
    start_time: Maybe[datetime] = None
    end_time: Maybe[datetime] = None
    max_execution_time_in_seconds: Maybe[Long] = None
    type: Maybe[str] = None
    cloud_to_device_method: Maybe[CloudToDeviceMethod] = None
    update_twin: Maybe[Twin] = None
    status: Maybe[str] = None
    failure_reason: Maybe[str] = None
    status_message: Maybe[str] = None
    device_job_statistics: Maybe[DeviceJobStatistics] = None


@model
class QueryResult(Model):
    """One page of a query's answer; `continuation_token` asks for the next."""

    type: Maybe[str] = None
    items: Maybe[list[Any]] = None
    continuation_token: Maybe[str] = None


@model
class Module(Model):
    """A module identity of a device; `managed_by` names its manager, for instance `IotEdge`."""

    module_id: Maybe[str] = None
    managed_by: Maybe[str] = None
    device_id: Maybe[str] = None
    generation_id: Maybe[str] = None
    etag: Maybe[str] = None
    connection_state: Maybe[str] = None
    connection_state_updated_time: Maybe[datetime] = None
    last_activity_time: Maybe[datetime] = None
    cloud_to_device_message_count: Maybe[int] = None
    authentication: Maybe[AuthenticationMechanism] = None


@model
class CloudToDeviceMethodResult(Model):
    """What a device answered to a direct method: its own `status`, and any JSON value."""

    status: Maybe[int] = None
    payload: Any = None
