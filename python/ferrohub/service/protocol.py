"""`manager.protocol`: the operations of the REST interface under the names of the official package's generated code.

For programs that reach below the managers: `manager.protocol.devices.get_identity("d")`, also with `raw=True` or
`custom_headers`, and `with manager.protocol:`, which there keeps a connection (here it is kept anyway). An etag is sent
as it is. New programs have no need of it.
"""

from __future__ import annotations

import functools

from ferrohub.service import operations
from ferrohub.service.client import ServiceClient
from ferrohub.service.operation import API_VERSION, interpret, prepare
from ferrohub.service.retry import RetryPolicy, checked_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Callable

    from typing_extensions import Self

    from ferrohub.service.authentication import Authorization
    from ferrohub.service.calls import Call
    from ferrohub.service.operation import Operation
    from ferrohub.service.response import Headers, Response


__all__ = [
    "BulkRegistryOperations",
    "CloudToDeviceMessagesOperations",
    "ConfigurationOperations",
    "DevicesOperations",
    "DigitalTwinOperations",
    "IotHubGatewayServiceAPIs",
    "IotHubGatewayServiceAPIsConfiguration",
    "JobsOperations",
    "ModulesOperations",
    "QueryOperations",
    "StatisticsOperations",
]


class ClientRawResponse:
    """What `raw=True` gives: the result as `output`, the `response`, and its `headers`."""

    def __init__(self, output: Any, response: Response) -> None:
        self.output = output
        self.response = response
        self.headers: Headers = response.headers


class Method:
    """An operation as a method: its arguments by position or name, then `custom_headers`, `raw` and `timeout=`."""

    def __init__(self, operation: Operation[Any], body: str | None = None, *, conditional: bool = False) -> None:
        self._operation = operation
        self._body = body
        arguments = [*operation.parameters, *([body] if body else []), *(["if_match"] if conditional else [])]
        self._options = [_python_name(name) for name, _ in operation.options]
        self._names = [*arguments, *self._options, "custom_headers", "raw"]
        self._required = [*operation.parameters, *([body] if body else [])]
        self.__doc__ = f"`{operation.method}`, with {', '.join(self._names)}; see `ferrohub.service.operations`."

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, group: Operations | None, _owner: type) -> Callable[..., Any]:
        if group is None:
            return self._ask
        return functools.partial(self._ask, group)

    def _ask(self, group: Operations, *arguments: Any, timeout: float | None = None, **named: Any) -> Any:
        given = self._bind(arguments, named)
        raw = given.pop("raw", False)
        output, response = group.client.run(self._call(given, timeout))
        return ClientRawResponse(output, response) if raw else output

    def _call(self, given: dict[str, Any], timeout: float | None) -> Call[tuple[Any, Response]]:
        operation = self._operation
        request = prepare(
            operation,
            [given[name] for name in operation.parameters],
            options=[given.get(name) for name in self._options],
            body=given[self._body] if self._body else None,
            if_match=given.get("if_match"),
            timeout=timeout,
        )
        custom = given.get("custom_headers") or {}
        request.headers = [header for header in request.headers if header[0] not in custom] + list(custom.items())
        response = yield request
        return interpret(operation, response), response

    def _bind(self, arguments: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
        given = dict(zip(self._names, arguments))
        unknown = [name for name in named if name not in self._names]
        twice = [name for name in named if name in given]
        missing = [name for name in self._required if name not in given and name not in named]
        if len(arguments) > len(self._names):
            raise TypeError(f"{self._name}() takes {len(self._names)} arguments, {len(arguments)} were given")
        for wrong, names in (("an unexpected", unknown), ("twice the", twice), ("no", missing)):
            if names:
                raise TypeError(f"{self._name}() got {wrong} argument {names[0]!r}")
        return {**given, **named}


def _python_name(name: str) -> str:
    """`x-ms-continuation` and `connectTimeoutInSeconds` as arguments of the official methods."""
    snake = "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)
    return snake.replace("-", "_")


class Operations:
    """A group of operations on one hub."""

    def __init__(self, client: ServiceClient) -> None:
        self.client = client
        self.api_version = API_VERSION


class DevicesOperations(Operations):
    """Devices, their twins and methods."""

    get_devices = Method(operations.GET_DEVICES)
    get_identity = Method(operations.GET_DEVICE)
    create_or_update_identity = Method(operations.PUT_DEVICE, "device", conditional=True)
    delete_identity = Method(operations.DELETE_DEVICE, conditional=True)
    get_twin = Method(operations.GET_TWIN)
    replace_twin = Method(operations.REPLACE_TWIN, "device_twin_info", conditional=True)
    update_twin = Method(operations.UPDATE_TWIN, "device_twin_info", conditional=True)
    invoke_method = Method(operations.INVOKE_METHOD, "direct_method_request")


class ModulesOperations(Operations):
    """Modules, their twins and methods."""

    get_modules_on_device = Method(operations.GET_MODULES)
    get_identity = Method(operations.GET_MODULE)
    create_or_update_identity = Method(operations.PUT_MODULE, "module", conditional=True)
    delete_identity = Method(operations.DELETE_MODULE, conditional=True)
    get_twin = Method(operations.GET_MODULE_TWIN)
    replace_twin = Method(operations.REPLACE_MODULE_TWIN, "device_twin_info", conditional=True)
    update_twin = Method(operations.UPDATE_MODULE_TWIN, "device_twin_info", conditional=True)
    invoke_method = Method(operations.INVOKE_MODULE_METHOD, "direct_method_request")


class BulkRegistryOperations(Operations):
    """Many identities at once."""

    update_registry = Method(operations.UPDATE_REGISTRY, "devices")


class StatisticsOperations(Operations):
    """Numbers of devices."""

    get_device_statistics = Method(operations.GET_DEVICE_STATISTICS)
    get_service_statistics = Method(operations.GET_SERVICE_STATISTICS)


class QueryOperations(Operations):
    """Queries."""

    get_twins = Method(operations.QUERY_TWINS, "query_specification")


class ConfigurationOperations(Operations):
    """Configurations and deployments."""

    get = Method(operations.GET_CONFIGURATION)
    create_or_update = Method(operations.PUT_CONFIGURATION, "configuration", conditional=True)
    delete = Method(operations.DELETE_CONFIGURATION, conditional=True)
    get_configurations = Method(operations.GET_CONFIGURATIONS)
    test_queries = Method(operations.TEST_CONFIGURATION_QUERIES, "input")
    apply_on_edge_device = Method(operations.APPLY_CONFIGURATION, "content")


class JobsOperations(Operations):
    """Jobs of both kinds."""

    create_import_export_job = Method(operations.CREATE_IMPORT_EXPORT_JOB, "job_properties")
    get_import_export_jobs = Method(operations.GET_IMPORT_EXPORT_JOBS)
    get_import_export_job = Method(operations.GET_IMPORT_EXPORT_JOB)
    cancel_import_export_job = Method(operations.CANCEL_IMPORT_EXPORT_JOB)
    get_scheduled_job = Method(operations.GET_SCHEDULED_JOB)
    create_scheduled_job = Method(operations.CREATE_SCHEDULED_JOB, "job_request")
    cancel_scheduled_job = Method(operations.CANCEL_SCHEDULED_JOB)
    query_scheduled_jobs = Method(operations.QUERY_SCHEDULED_JOBS)


class CloudToDeviceMessagesOperations(Operations):
    """Queues of messages to devices, and feedback about them."""

    purge_cloud_to_device_message_queue = Method(operations.PURGE_MESSAGES)
    receive_feedback_notification = Method(operations.RECEIVE_FEEDBACK)
    complete_feedback_notification = Method(operations.COMPLETE_FEEDBACK)
    abandon_feedback_notification = Method(operations.ABANDON_FEEDBACK)


class DigitalTwinOperations(Operations):
    """Digital twins and their commands."""

    get_digital_twin = Method(operations.GET_DIGITAL_TWIN)
    update_digital_twin = Method(operations.UPDATE_DIGITAL_TWIN, "digital_twin_patch", conditional=True)
    invoke_root_level_command = Method(operations.INVOKE_COMMAND, "payload")
    invoke_component_command = Method(operations.INVOKE_COMPONENT_COMMAND, "payload")


class _ConnectionSettings:
    """`config.connection`: its `timeout` is the client's, in seconds and in all."""

    __slots__ = ("_client",)

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    @property
    def timeout(self) -> float:
        return self._client.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._client.timeout = checked_timeout(seconds)

    @property
    def verify(self) -> bool:
        return True

    @verify.setter
    def verify(self, _value: object) -> None:
        raise NotImplementedError("name the CA's PEM file in REQUESTS_CA_BUNDLE; certificates are always checked")


class _RetrySettings:
    """`config.retry_policy`: its `retries` are the attempts after the first."""

    __slots__ = ("_client",)

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    @property
    def retries(self) -> int:
        return self._client.retry.attempts - 1

    @retries.setter
    def retries(self, retries: int) -> None:
        retry = self._client.retry
        self._client.retry = RetryPolicy(retries + 1, retry.backoff, retry.longest_pause)


class IotHubGatewayServiceAPIsConfiguration:
    """`manager.protocol.config`."""

    def __init__(self, client: ServiceClient) -> None:
        self.base_url = f"https://{client.host_name}"
        self.credentials = client.authorization
        self.connection = _ConnectionSettings(client)
        self.retry_policy = _RetrySettings(client)


class IotHubGatewayServiceAPIs:
    """The groups of operations of one hub; `with` and `close()` end its connections."""

    def __init__(self, credentials: Authorization, base_url: str) -> None:
        if credentials is None:
            raise ValueError("Parameter 'credentials' must not be None.")
        self._use(ServiceClient(base_url.removeprefix("https://"), credentials, None, None))

    @classmethod
    def of(cls, client: ServiceClient) -> Self:
        """The operations of a manager's client."""
        made = cls.__new__(cls)
        made._use(client)
        return made

    def _use(self, client: ServiceClient) -> None:
        self._client = client
        self.config = IotHubGatewayServiceAPIsConfiguration(client)
        self.api_version = API_VERSION
        self.configuration = ConfigurationOperations(client)
        self.statistics = StatisticsOperations(client)
        self.devices = DevicesOperations(client)
        self.bulk_registry = BulkRegistryOperations(client)
        self.query = QueryOperations(client)
        self.jobs = JobsOperations(client)
        self.cloud_to_device_messages = CloudToDeviceMessagesOperations(client)
        self.modules = ModulesOperations(client)
        self.digital_twin = DigitalTwinOperations(client)

    def close(self) -> None:
        """End the connections; a call afterwards opens new ones."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
