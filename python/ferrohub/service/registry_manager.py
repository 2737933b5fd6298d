"""`IoTHubRegistryManager`: identities, twins, queries, direct methods and messages to devices.

Its methods are declared in `ferrohub.service.calls`.
"""

from __future__ import annotations

from ferrohub._frames import one_frame
from ferrohub.service import fleet
from ferrohub.service.calls.devices import DeviceCalls
from ferrohub.service.calls.modules import ModuleCalls
from ferrohub.service.calls.registry import RegistryCalls
from ferrohub.service.calls.twins import MethodCalls, TwinCalls
from ferrohub.service.event_defaults import DEFAULT_CONSUMER_GROUP, DEFAULT_PREFETCH
from ferrohub.service.manager import AnyManager, Manager, blocking
from ferrohub.service.messages import Messages
from ferrohub.service.transport_type import TransportType, transport_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeVar

    from typing_extensions import Self

    from ferrohub.service.authentication import AnyCredential
    from ferrohub.service.calls.registry import Query
    from ferrohub.service.events import AnyEventReader, EventReader, Options, Start
    from ferrohub.service.fleet import Change, DeviceResult, Progress
    from ferrohub.service.messages import Message
    from ferrohub.service.models import Twin
    from ferrohub.service.notifications import FeedbackRecord, FileNotification, Item, Notifications, Queue
    from ferrohub.service.retry import RetryPolicy

    Reader = TypeVar("Reader", bound=AnyEventReader)


class AnyRegistryManager(AnyManager):
    """The constructors of registry managers, which differ from the others': they may send messages over AMQP."""

    @one_frame
    def __init__(
        self,
        connection_string: str | None = None,
        host: str | None = None,
        token_credential: AnyCredential | None = None,
        transport_type: Any = TransportType.Amqp,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """From the connection string of a shared access policy, or from a host name and a token credential.

        A port in the host name (`localhost:8443`) is kept: that is how a local hub is reached. `timeout` and `retry`
        are as in all managers. Raises ValueError or KeyError for another kind of connection string, TypeError if there
        is none.
        """
        self._connect(connection_string, host, token_credential, timeout, retry)
        # The others are told at their first call that a connection string is not that of a policy, this one at once.
        self._client.open()
        self._transport_type = transport_of(transport_type)
        client = self._client
        self._messages = Messages(
            client.host_name, client.authorization, self._transport_type, client.timeout, client.blocks
        )

    def _events(self, kind: type[Reader], options: Options) -> Reader:
        client = self._client
        return kind.of_hub(client.host_name, client.authorization, self._transport_type, options)

    @classmethod
    @one_frame
    def from_connection_string(
        cls,
        connection_string: str,
        transport_type: Any = TransportType.Amqp,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Self:
        """A manager for the connection string of a shared access policy."""
        return cls(connection_string, transport_type=transport_type, timeout=timeout, retry=retry)

    @classmethod
    @one_frame
    def from_token_credential(
        cls,
        url: str,
        token_credential: AnyCredential,
        transport_type: Any = TransportType.Amqp,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Self:
        """A manager for a hub's host name (`url`) and a credential, for instance of azure-identity."""
        return cls(None, url, token_credential, transport_type, timeout=timeout, retry=retry)


class IoTHubRegistryManager(AnyRegistryManager, Manager):
    """Identities, twins, queries and direct methods.

    An etag of None means "whatever is there": If-Match is then `"*"`.
    """

    create_device_with_sas = blocking(DeviceCalls.create_device_with_sas)
    create_device_with_x509 = blocking(DeviceCalls.create_device_with_x509)
    create_device_with_certificate_authority = blocking(DeviceCalls.create_device_with_certificate_authority)
    update_device_with_sas = blocking(DeviceCalls.update_device_with_sas)
    update_device_with_x509 = blocking(DeviceCalls.update_device_with_x509)
    update_device_with_certificate_authority = blocking(DeviceCalls.update_device_with_certificate_authority)
    get_device = blocking(DeviceCalls.get_device)
    get_devices = blocking(DeviceCalls.get_devices)
    delete_device = blocking(DeviceCalls.delete_device)

    create_module_with_sas = blocking(ModuleCalls.create_module_with_sas)
    create_module_with_x509 = blocking(ModuleCalls.create_module_with_x509)
    create_module_with_certificate_authority = blocking(ModuleCalls.create_module_with_certificate_authority)
    update_module_with_sas = blocking(ModuleCalls.update_module_with_sas)
    update_module_with_x509 = blocking(ModuleCalls.update_module_with_x509)
    update_module_with_certificate_authority = blocking(ModuleCalls.update_module_with_certificate_authority)
    get_module = blocking(ModuleCalls.get_module)
    get_modules = blocking(ModuleCalls.get_modules)
    delete_module = blocking(ModuleCalls.delete_module)

    bulk_create_or_update_devices = blocking(RegistryCalls.bulk_create_or_update_devices)
    get_service_statistics = blocking(RegistryCalls.get_service_statistics)
    get_device_registry_statistics = blocking(RegistryCalls.get_device_registry_statistics)
    query_iot_hub = blocking(RegistryCalls.query_iot_hub)

    get_twin = blocking(TwinCalls.get_twin)
    replace_twin = blocking(TwinCalls.replace_twin)
    update_twin = blocking(TwinCalls.update_twin)
    get_module_twin = blocking(TwinCalls.get_module_twin)
    replace_module_twin = blocking(TwinCalls.replace_module_twin)
    update_module_twin = blocking(TwinCalls.update_module_twin)

    invoke_device_method = blocking(MethodCalls.invoke_device_method)
    invoke_device_module_method = blocking(MethodCalls.invoke_device_module_method)

    @one_frame
    def send_c2d_message(
        self,
        device_id: str,
        message: Any,
        properties: dict[str, Any] = {},  # noqa: B006 - official, and left alone
        *,
        timeout: float | None = None,
    ) -> None:
        """Send a message to a device, and wait until the hub has queued it for the device.

        `message` is str or bytes, or a list of them, which are joined; other values become AMQP values, of which hubs
        may make anything. Of `properties`, `messageId`, `correlationId`, `contentType`, `contentEncoding` and
        `expiryTimeUtc` (an int, milliseconds since 1970) are the message's own; all others, `iothub-ack` among them,
        are application properties: str, bytes, bool, int, float, uuid.UUID or None. A message without id gets a
        random one.

        The connection is made at the first message and again whenever it was lost. Raises TypeError for a value that
        can't be sent, and the errors of `ferrohub.service.message_errors`: `MessageRejected` if the hub refuses
        (`status_code` 404 no such device, 403 50 messages wait, 413 above 64 KiB), and those of uamqp's names if it
        can't be reached or its answer did not come; `may_have_arrived` tells whether the hub may have the message. It
        takes `timeout` seconds at most, the manager's unless given.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d
        """
        self._messages.send((device_id, message, properties), timeout)

    @one_frame
    def send_c2d_messages(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Exception | None]:
        """Send messages without waiting between them: `(device_id, message)` or `(device_id, message, properties)`.

        The result has None for each that the hub has queued, in this order, and for each other the exception that
        `send_c2d_message` would raise. After one for which there was no connection, none is tried. Raises TypeError
        for a value that can't be sent before anything is. `timeout` is for all of them together.
        """
        return self._messages.send_all(messages, timeout)

    @one_frame
    def events(
        self,
        start: Start = "latest",
        partitions: Iterable[str] | None = None,
        *,
        consumer_group: str = DEFAULT_CONSUMER_GROUP,
        timeout: float | None = None,
        prefetch: int = DEFAULT_PREFETCH,
    ) -> EventReader:
        """Read what devices send, `for event in manager.events()`, from the hub's built-in endpoint.

        `start` is `"latest"` (what comes once the hub has answered), `"earliest"` (all that the hub keeps), a datetime
        with a time zone, or a mapping from partitions to places: an offset (str) or sequence number (int), behind
        which reading begins, or a datetime. `reader.position` is such a mapping. `partitions` are their names,
        `["0", "1"]`; None for all. `consumer_group` has to exist. The loop ends when there was no event for `timeout`
        seconds; None waits without end. Up to `prefetch` events of each partition are on their way.

        Nothing is connected before the first event is asked for. A connection that was lost is made again for as long
        as `timeout` allows, and goes on behind the last event: none is lost and none comes twice, as long as the hub
        keeps them. A policy with the right ServiceConnect is needed: Azure's hubs let no token credential read events.
        Raises ValueError and TypeError for arguments; the reader the errors of `ferrohub.service.message_errors`.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-read-builtin
        """
        from ferrohub.service.events import EventReader, Options  # slow to import; most programs do without

        return self._events(EventReader, Options(start, partitions, consumer_group, timeout, prefetch))

    @one_frame
    def feedback(self, *, timeout: float | None = None) -> Notifications[FeedbackRecord]:
        """What became of messages to devices, `for record in manager.feedback(timeout=60)`, as the hub tells it.

        It tells of messages with an `iothub-ack` of `positive`, `negative` or `full`, in batches: of 64 records, or
        of those that have come in 15 seconds. A batch counts as read when the step after its last record is taken;
        if it isn't within a minute, or the program ends before, the hub gives it again: a record may come more than
        once, and to one of several readers.

        `timeout` ends the iteration when nothing comes for so many seconds; None waits without end. The connection is
        made at the first step, and again whenever it was lost; `close()`, or `with`, ends it. Raises, at a step, the
        errors of `ferrohub.service.message_errors`: `TokenAuthFailure`, `AMQPConnectionError` if the first attempt to
        connect fails, `MessageTimeout` if there is no connection again within `timeout`.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d#message-feedback
        """
        from ferrohub.service.notifications import FEEDBACK  # slow to import; most programs do without

        return self._notifications(FEEDBACK, timeout)

    @one_frame
    def file_notifications(self, *, timeout: float | None = None) -> Notifications[FileNotification]:
        """Files that devices have uploaded, `for file in manager.file_notifications()`, as the hub tells of them.

        A hub tells of them if its file notifications are on. One counts as read when the next step is taken; `timeout`,
        repetitions and errors are as of `feedback`.
        https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-file-upload#file-upload-notifications
        """
        from ferrohub.service.notifications import FILE_NOTIFICATIONS

        return self._notifications(FILE_NOTIFICATIONS, timeout)

    def _notifications(self, queue: Queue[Item], timeout: float | None) -> Notifications[Item]:
        from ferrohub.service.notifications import Notifications

        messages = self._messages
        return Notifications(messages.receiver(queue.name), messages.authorization, queue.read, timeout)

    def close(self) -> None:
        """End the connections; a call afterwards opens new ones."""
        self._messages.close()
        super().close()

    def query(
        self, query: Query | str, *, page_size: int = fleet.LARGEST_PAGE, timeout: float | None = None
    ) -> Iterator[Any]:
        """Every row of a query, `for row in manager.query("SELECT * FROM devices")`; pages are read as they are needed.

        Rows are twins where the query selects all of them, else what it selects, as JSON. `page_size` is at most 1000;
        `timeout` is for each page.
        """
        fleet.check_query(page_size, timeout)
        return self._rows(query, page_size, timeout)

    def devices(self, *, timeout: float | None = None) -> Iterator[Twin]:
        """The twins of all devices: `get_devices` without its limit of 1000."""
        return self.query(fleet.ALL_DEVICES, timeout=timeout)

    @one_frame
    def bulk(
        self,
        changes: Iterable[Change],
        *,
        concurrency: int = 4,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> list[DeviceResult]:
        """Create, update or delete any number of identities, each as its `import_mode` says; one result for each.

        They are cut into requests of 100, of which `concurrency` are on their way at once; each is tried as the retry
        policy says of a PUT, throttled ones for some minutes. `progress(done, total)` is called after each (total is
        None for an iterator). An identity must stand there once only. What fails is in the results, not raised. The
        rest is not sent once the hub refuses the caller (401) or 2 x `concurrency` requests in a row have failed.
        """
        bulk = fleet.Bulk(changes, concurrency, progress, timeout)
        for expected, outcome in self._client.run_many(bulk.calls(), bulk.concurrency):
            bulk.note(expected, outcome)
        return bulk.finish()

    def _rows(self, query: Query | str, page_size: int, timeout: float | None) -> Iterator[Any]:
        token: str | None = None
        while True:
            rows, token = self._query_page(query, token, page_size, timeout)
            yield from rows
            if token is None:
                return

    @one_frame
    def _query_page(
        self, query: Query | str, token: str | None, page_size: int, timeout: float | None
    ) -> tuple[list[Any], str | None]:
        return self._client.run(fleet.query_page(query, token, page_size, timeout))
