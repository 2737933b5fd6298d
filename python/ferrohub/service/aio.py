"""The managers for asyncio: the same methods as coroutines, with the same arguments, results and errors.

    async with IoTHubRegistryManager(connection_string) as registry:
        twins = await asyncio.gather(*(registry.get_twin(device) for device in devices))

No call has a thread of its own. A task that is cancelled ends its request; what the hub has done by then is done.
`ferrohub.service.calls` declares the methods.
"""

from __future__ import annotations

import asyncio
import functools
from itertools import islice

from ferrohub._frames import one_frame, one_frame_async
from ferrohub.service import fleet, loops
from ferrohub.service.calls.configurations import ConfigurationCalls
from ferrohub.service.calls.devices import DeviceCalls
from ferrohub.service.calls.digital_twins import DigitalTwinCalls
from ferrohub.service.calls.feedback import FeedbackCalls
from ferrohub.service.calls.jobs import JobCalls
from ferrohub.service.calls.modules import ModuleCalls
from ferrohub.service.calls.registry import RegistryCalls
from ferrohub.service.calls.twins import MethodCalls, TwinCalls
from ferrohub.service.client import Connection
from ferrohub.service.event_defaults import DEFAULT_CONSUMER_GROUP, DEFAULT_PREFETCH
from ferrohub.service.events import AsyncEventReader, Options
from ferrohub.service.manager import AnyManager, of_result
from ferrohub.service.messages import outcomes
from ferrohub.service.notifications import FEEDBACK, FILE_NOTIFICATIONS, AsyncNotifications
from ferrohub.service.registry_manager import AnyRegistryManager
from ferrohub.service.response import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
    from typing import Any, Callable, TypeVar

    from typing_extensions import Concatenate, ParamSpec, Self

    from ferrohub.service.calls import Call
    from ferrohub.service.calls.registry import Query
    from ferrohub.service.events import Start
    from ferrohub.service.fleet import Change, DeviceResult, Progress
    from ferrohub.service.messages import Message
    from ferrohub.service.models import Twin
    from ferrohub.service.notifications import FeedbackRecord, FileNotification, Item, Queue
    from ferrohub.service.operation import Request

    Parameters = ParamSpec("Parameters")
    Key = TypeVar("Key")
    Result = TypeVar("Result")

__all__ = [
    "DigitalTwinClient",
    "EventReader",
    "IoTHubConfigurationManager",
    "IoTHubHttpRuntimeManager",
    "IoTHubJobManager",
    "IoTHubRegistryManager",
]

EventReader = AsyncEventReader


class AsyncServiceClient(Connection):
    """Runs calls on one hub, any number at once."""

    blocks = False

    async def run(self, call: Call[Result]) -> Result:
        """Send the requests of a call and await its result; raises as the client that blocks does."""
        try:
            request = next(call)
            while True:
                request = call.send(await self._send(request))
        except StopIteration as end:
            result: Result = end.value
            return result

    async def run_many(
        self, calls: Iterator[tuple[Key, Call[Result]]], at_once: int
    ) -> AsyncIterator[tuple[Key, Result | Exception]]:
        """Run calls, so many at once, and give each one's key and outcome as it ends."""
        running: dict[asyncio.Task[Result], Key] = {}
        try:
            while True:
                for key, call in islice(calls, at_once - len(running)):
                    running[asyncio.create_task(self.run(call))] = key
                if not running:
                    return
                ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    key, error = running.pop(task), task.exception()
                    yield key, error if isinstance(error, Exception) else task.result()
        finally:
            for task in running:
                task.cancel()

    async def _send(self, request: Request) -> Response:
        operation = self.operation(request, await self.authorization.headers_awaited())
        return Response(request, *await loops.for_requests().run(operation))


def awaitable(
    method: Callable[Concatenate[Any, Parameters], Call[Result]],
) -> Callable[Concatenate[Any, Parameters], Coroutine[Any, Any, Result]]:
    """A coroutine function that runs this call."""

    @one_frame_async
    @functools.wraps(of_result(method))
    async def call(self: Any, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        result: Result = await self._client.run(method(self, *args, **kwargs))
        return result

    return call


class AsyncManager(AnyManager):
    """A manager whose methods are coroutines.

    It may be used from several event loops, one after the other or at once. `from_token_credential` takes the
    credentials of azure.identity.aio, and those that block.
    """

    _client: AsyncServiceClient
    _client_class = AsyncServiceClient

    async def close(self) -> None:
        """End the connections; a call afterwards opens new ones."""
        self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class IoTHubRegistryManager(AnyRegistryManager, AsyncManager):
    """Identities, twins, queries and direct methods.

    An etag of None means "whatever is there": If-Match is then `"*"`.
    """

    create_device_with_sas = awaitable(DeviceCalls.create_device_with_sas)
    create_device_with_x509 = awaitable(DeviceCalls.create_device_with_x509)
    create_device_with_certificate_authority = awaitable(DeviceCalls.create_device_with_certificate_authority)
    update_device_with_sas = awaitable(DeviceCalls.update_device_with_sas)
    update_device_with_x509 = awaitable(DeviceCalls.update_device_with_x509)
    update_device_with_certificate_authority = awaitable(DeviceCalls.update_device_with_certificate_authority)
    get_device = awaitable(DeviceCalls.get_device)
    get_devices = awaitable(DeviceCalls.get_devices)
    delete_device = awaitable(DeviceCalls.delete_device)

    create_module_with_sas = awaitable(ModuleCalls.create_module_with_sas)
    create_module_with_x509 = awaitable(ModuleCalls.create_module_with_x509)
    create_module_with_certificate_authority = awaitable(ModuleCalls.create_module_with_certificate_authority)
    update_module_with_sas = awaitable(ModuleCalls.update_module_with_sas)
    update_module_with_x509 = awaitable(ModuleCalls.update_module_with_x509)
    update_module_with_certificate_authority = awaitable(ModuleCalls.update_module_with_certificate_authority)
    get_module = awaitable(ModuleCalls.get_module)
    get_modules = awaitable(ModuleCalls.get_modules)
    delete_module = awaitable(ModuleCalls.delete_module)

    bulk_create_or_update_devices = awaitable(RegistryCalls.bulk_create_or_update_devices)
    get_service_statistics = awaitable(RegistryCalls.get_service_statistics)
    get_device_registry_statistics = awaitable(RegistryCalls.get_device_registry_statistics)
    query_iot_hub = awaitable(RegistryCalls.query_iot_hub)

    get_twin = awaitable(TwinCalls.get_twin)
    replace_twin = awaitable(TwinCalls.replace_twin)
    update_twin = awaitable(TwinCalls.update_twin)
    get_module_twin = awaitable(TwinCalls.get_module_twin)
    replace_module_twin = awaitable(TwinCalls.replace_module_twin)
    update_module_twin = awaitable(TwinCalls.update_module_twin)

    invoke_device_method = awaitable(MethodCalls.invoke_device_method)
    invoke_device_module_method = awaitable(MethodCalls.invoke_device_module_method)

    @one_frame_async
    async def send_c2d_message(
        self,
        device_id: str,
        message: Any,
        properties: dict[str, Any] = {},  # noqa: B006 - official, and left alone
        *,
        timeout: float | None = None,
    ) -> None:
        """Send a message to a device, and wait until the hub has queued it; as the blocking manager does."""
        token = await self._messages.authorization.bearer_awaited()
        operation = self._messages.one((device_id, message, properties), token, timeout)
        await loops.for_messages().run(operation)

    def events(
        self,
        start: Start = "latest",
        partitions: Iterable[str] | None = None,
        *,
        consumer_group: str = DEFAULT_CONSUMER_GROUP,
        timeout: float | None = None,
        prefetch: int = DEFAULT_PREFETCH,
    ) -> AsyncEventReader:
        """Read what devices send, `async for event in manager.events()`; arguments as of the blocking manager."""
        return self._events(AsyncEventReader, Options(start, partitions, consumer_group, timeout, prefetch))

    @one_frame_async
    async def send_c2d_messages(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Exception | None]:
        """Send messages without waiting between them; arguments and results as of the blocking manager."""
        token = await self._messages.authorization.bearer_awaited()
        operation = self._messages.many(messages, token, timeout)
        return outcomes(await loops.for_messages().run(operation))

    @one_frame
    def feedback(self, *, timeout: float | None = None) -> AsyncNotifications[FeedbackRecord]:
        """What became of messages to devices, `async for record in manager.feedback()`, as without asyncio."""
        return self._notifications(FEEDBACK, timeout)

    @one_frame
    def file_notifications(self, *, timeout: float | None = None) -> AsyncNotifications[FileNotification]:
        """Files that devices have uploaded, `async for file in manager.file_notifications()`, as without asyncio."""
        return self._notifications(FILE_NOTIFICATIONS, timeout)

    def _notifications(self, queue: Queue[Item], timeout: float | None) -> AsyncNotifications[Item]:
        messages = self._messages
        return AsyncNotifications(messages.receiver(queue.name), messages.authorization, queue.read, timeout)

    async def close(self) -> None:
        """End the connections; a call afterwards opens new ones."""
        operation = self._messages.closing()
        if operation is not None:
            await loops.for_messages().run(operation)
        await super().close()

    def query(
        self, query: Query | str, *, page_size: int = fleet.LARGEST_PAGE, timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """Every row of a query, `async for row in manager.query("SELECT * FROM devices")`, as without asyncio."""
        fleet.check_query(page_size, timeout)
        return self._rows(query, page_size, timeout)

    def devices(self, *, timeout: float | None = None) -> AsyncIterator[Twin]:
        """The twins of all devices: `get_devices` without its limit of 1000."""
        return self.query(fleet.ALL_DEVICES, timeout=timeout)

    @one_frame_async
    async def bulk(
        self,
        changes: Iterable[Change],
        *,
        concurrency: int = 4,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> list[DeviceResult]:
        """Create, update or delete any number of identities; arguments and results as of the blocking manager."""
        bulk = fleet.Bulk(changes, concurrency, progress, timeout)
        async for expected, outcome in self._client.run_many(bulk.calls(), bulk.concurrency):
            bulk.note(expected, outcome)
        return bulk.finish()

    async def _rows(self, query: Query | str, page_size: int, timeout: float | None) -> AsyncIterator[Any]:
        token: str | None = None
        while True:
            rows, token = await self._query_page(query, token, page_size, timeout)
            for row in rows:
                yield row
            if token is None:
                return

    @one_frame_async
    async def _query_page(
        self, query: Query | str, token: str | None, page_size: int, timeout: float | None
    ) -> tuple[list[Any], str | None]:
        return await self._client.run(fleet.query_page(query, token, page_size, timeout))


class IoTHubConfigurationManager(AsyncManager):
    """Automatic device configurations and IoT Edge deployments."""

    get_configuration = awaitable(ConfigurationCalls.get_configuration)
    create_configuration = awaitable(ConfigurationCalls.create_configuration)
    update_configuration = awaitable(ConfigurationCalls.update_configuration)
    delete_configuration = awaitable(ConfigurationCalls.delete_configuration)
    get_configurations = awaitable(ConfigurationCalls.get_configurations)
    test_configuration_queries = awaitable(ConfigurationCalls.test_configuration_queries)
    apply_configuration_on_edge_device = awaitable(ConfigurationCalls.apply_configuration_on_edge_device)


class IoTHubJobManager(AsyncManager):
    """Import and export of identities, and scheduled changes of many devices."""

    create_import_export_job = awaitable(JobCalls.create_import_export_job)
    get_import_export_jobs = awaitable(JobCalls.get_import_export_jobs)
    get_import_export_job = awaitable(JobCalls.get_import_export_job)
    cancel_import_export_job = awaitable(JobCalls.cancel_import_export_job)
    create_scheduled_job = awaitable(JobCalls.create_scheduled_job)
    get_scheduled_job = awaitable(JobCalls.get_scheduled_job)
    cancel_scheduled_job = awaitable(JobCalls.cancel_scheduled_job)
    query_scheduled_jobs = awaitable(JobCalls.query_scheduled_jobs)


class IoTHubHttpRuntimeManager(AsyncManager):
    """Feedback about messages that were sent to devices."""

    receive_feedback_notification = awaitable(FeedbackCalls.receive_feedback_notification)
    complete_feedback_notification = awaitable(FeedbackCalls.complete_feedback_notification)
    abandon_feedback_notification = awaitable(FeedbackCalls.abandon_feedback_notification)


class DigitalTwinClient(AsyncManager):
    """Digital twins: devices seen through their IoT Plug and Play model."""

    get_digital_twin = awaitable(DigitalTwinCalls.get_digital_twin)
    update_digital_twin = awaitable(DigitalTwinCalls.update_digital_twin)
    invoke_component_command = awaitable(DigitalTwinCalls.invoke_component_command)
    invoke_command = awaitable(DigitalTwinCalls.invoke_command)
