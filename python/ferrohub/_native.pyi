"""The native core. Private: use `ferrohub` and `azure.iot`."""

import asyncio
import concurrent.futures
import datetime as dt
from collections.abc import Callable
from typing import Any, Final, final

from typing_extensions import TypeAlias

from ferrohub.device.options import ClientOptions
from ferrohub.provisioning.options import ProvisioningOptions
from ferrohub.service.retry import RetryPolicy

__all__ = [
    "CoreError",
    "DeviceClient",
    "EdgeWorkload",
    "Event",
    "EventReader",
    "Hub",
    "Mailbox",
    "MessageSender",
    "MessageWriter",
    "ModelReader",
    "Operation",
    "ProvisioningClient",
    "QueueMessage",
    "QueueReceiver",
    "ServiceTransport",
    "SharedAccessKey",
    "__version__",
    "check_trusted_certificates",
    "cli_main",
    "parse_connection_string",
    "recover_outbox",
]

__version__: Final[str]

_Unusual: TypeAlias = Callable[[Any], tuple[list[tuple[str, str]], bytes]]
"""Gives properties and payload of a message."""

class CoreError(Exception):
    """An error of the core; `args` is (kind, message, causes)."""

    args: tuple[str, str, list[str]]

def parse_connection_string(text: str) -> dict[str, str]:
    """The parts that are not empty; `CoreError` has the broken rule's name, and the part's number or key."""

@final
class SharedAccessKey:
    """A key that has been read from base64; never shown. Raises CoreError."""

    def __new__(cls, base64: str) -> SharedAccessKey: ...

def check_trusted_certificates(pem: str) -> None:
    """See that a PEM text holds certificates to trust. Raises CoreError."""

@final
class Mailbox:
    """Where the outcomes of operations and the news of clients arrive, for one thread or event loop."""

    def __new__(cls, public_error: Callable[[CoreError], Exception], drives: bool = False) -> Mailbox:
        """With `drives`, `wait` runs the operations of blocking clients."""
    def fileno(self) -> int | None:
        """A descriptor that is readable while there are letters; None where the system has none."""
    def wait(self) -> None:
        """Wait until there are letters."""
    def drain(self) -> list[tuple[int, str]]:
        """Give futures their outcomes; return the news as (client, kind), each once."""

@final
class Operation:
    """An operation that has been asked for; run it once, with `wait` or `start`."""

    def wait(self) -> Any:
        """Wait for the outcome. Raises CoreError."""
    def start(self, mailbox: Mailbox, outcome: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        """Run it, and give the outcome to a future of the mailbox's event loop or thread."""
    def cancel(self) -> None:
        """Nobody waits any more: what was not sent is not sent."""

@final
class DeviceClient:
    """A device's or module's connection. Times are in seconds, None waits without end."""

    def __new__(cls, options: ClientOptions, blocking: bool) -> DeviceClient: ...
    @property
    def client_id(self) -> str: ...
    @property
    def connected(self) -> bool: ...
    @property
    def statistics(self) -> list[tuple[str, int]]: ...
    def connect(self, timeout: float | None) -> Operation: ...
    def disconnect(self, timeout: float | None) -> Operation: ...
    def shutdown(self, timeout: float | None) -> Operation: ...
    def update_token(self, text: str, expires: int, timeout: float | None) -> Operation:
        """A token of the program in place of the last, and when it expires; connects."""
    def send_message(
        self, message: Any, writer: MessageWriter, unusual: _Unusual, timeout: float | None
    ) -> Operation: ...
    def send_message_with_others(
        self, message: Any, writer: MessageWriter, unusual: _Unusual, timeout: float | None
    ) -> tuple[Operation, bool]:
        """The session is told of it by `release`, which is to be called if the second value says so."""
    def release(self) -> None:
        """Tell the session of messages that were held."""
    def send_messages(
        self, messages: list[Any], writer: MessageWriter, unusual: _Unusual, timeout: float | None
    ) -> Operation:
        """Written before the first is sent; None, or the arguments of a CoreError, for each."""
    def flush(self, timeout: float | None) -> Operation:
        """Wait until what the outbox has accepted until now has left it."""
    def get_twin(self, timeout: float | None) -> Operation: ...
    def patch_reported_properties(self, patch: bytes, timeout: float | None) -> Operation: ...
    def respond_to_method(self, request_id: str, status: int, payload: bytes, timeout: float | None) -> Operation: ...
    def get_storage_info(self, body: bytes, timeout: float | None) -> Operation:
        """Where to upload a file: JSON for JSON."""
    def notify_upload(self, body: bytes, timeout: float | None) -> Operation:
        """How an upload has ended, as JSON."""
    def invoke_method(self, device_id: str, module_id: str | None, body: bytes, timeout: float | None) -> Operation:
        """Call a direct method through the gateway of IoT Edge: JSON for JSON."""
    def enable(self, kind: str, timeout: float | None) -> Operation:
        """Ask the hub for what is of this kind: desired_patch, message or method."""
    def disable(self, kind: str, timeout: float | None) -> Operation:
        """Ask the hub for it no more."""
    def receive(self, kind: str, name: str | None, timeout: float | None) -> Operation:
        """The next of this kind (and name, for messages on inputs and methods); None after `timeout`."""
    def arrival(self, kind: str, name: str | None, timeout: float | None) -> Operation:
        """Whether something of this kind (and name) is there, at once or within `timeout`; it is not taken."""
    def take(self, kind: str, name: str | None) -> Any:
        """What is there already of this kind, or None."""
    def watch(self, mailbox: Mailbox, number: int) -> None:
        """Tell this mailbox, under this number, when something new has come; events are kept only from then on."""

@final
class EdgeWorkload:
    """The workload API of IoT Edge as one module uses it; its operations give texts as bytes."""

    def __new__(
        cls, uri: str, api_version: str, module_id: str, generation_id: str, user_agent: str
    ) -> EdgeWorkload: ...
    def trust_bundle(self) -> Operation:
        """The CA certificates to trust, as PEM."""
    def sign(self, text: str) -> Operation:
        """The HMAC-SHA256 of a text with the module's key, in base64."""

@final
class ProvisioningClient:
    """A device that asks for its hub."""

    def __new__(cls, options: ProvisioningOptions) -> ProvisioningClient: ...
    def register(self, payload: bytes, timeout: float | None) -> Operation:
        """Register with this payload, which is JSON; the service's last answer, JSON too. Seconds; None waits."""

@final
class ModelReader:
    """What reads one of the service's models from JSON, as its `deserialize` does."""

    def __new__(
        cls, model: type[Any], template: dict[str, Any], fields: list[tuple[str, str, type | None, Any]]
    ) -> ModelReader:
        """The template is what a model's `__dict__` begins as.

        A field is a name in JSON, the attribute's name, the type whose values are taken as they are, and what reads all
        others: a function of (value, lenient), or the reader of another model.
        """
    def one(self, json: bytes) -> Any:
        """The model of a JSON object; None if it is to be read in Python, which knows what to say of it."""
    def many(self, json: bytes) -> list[Any] | None:
        """The models of a JSON array of objects; None likewise."""

@final
class ServiceTransport:
    """The REST endpoint of one hub: a kept connection pool, a signature per request, retries."""

    def __new__(
        cls, host_name: str, platform: str, policy: str | None, key: str | None, blocking: bool
    ) -> ServiceTransport: ...
    def request(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None,
        repeatable: bool,
        limit: float,
        retry: RetryPolicy,
    ) -> Operation:
        """Send, and give (status, reason, headers, body, url, attempts, given up, None or seconds in doubt)."""
    def close(self) -> None:
        """End the connections; a request afterwards opens new ones."""

@final
class MessageWriter:
    """How messages of one class are written for the wire: ordinary ones here, others by a function that is given."""

    def __new__(cls, message_class: type[Any], system_properties: list[tuple[str, str]], largest: int) -> MessageWriter:
        """Names on the wire and attributes, in their order; and bytes of the attributes' values in Python's memory."""

@final
class MessageSender:
    """What sends messages to the devices of one hub, over AMQP."""

    def __new__(
        cls, host_name: str, websocket: bool, policy: str | None, key: str | None, blocking: bool
    ) -> MessageSender: ...
    def send(
        self, message: tuple[str, Any, list[tuple[Any, Any]]], token: tuple[str, int] | None, limit: float
    ) -> Operation:
        """Send, and give None when the hub has accepted it. Raises TypeError for what can't be sent."""
    def send_all(
        self, messages: list[tuple[str, Any, list[tuple[Any, Any]]]], token: tuple[str, int] | None, limit: float
    ) -> Operation:
        """Send all, and give a list with None or an error's (kind, message, causes) for each."""
    def close(self) -> Operation:
        """End the connection; a message afterwards opens a new one."""

@final
class EventReader:
    """What reads a hub's events.

    A place is (partition or None for all, `offset`, `sequence`, `time` or `latest`, its value as text); the options are
    partitions or None for all, consumer group, prefetch, and places to begin at.
    """

    def __new__(
        cls,
        host_name: str,
        websocket: bool,
        policy: str | None,
        key: str | None,
        options: tuple[list[str] | None, str, int, list[tuple[str | None, str, str]]],
    ) -> EventReader: ...
    @staticmethod
    def of_event_hub(
        connection_string: str,
        websocket: bool,
        options: tuple[list[str] | None, str, int, list[tuple[str | None, str, str]]],
    ) -> EventReader:
        """A reader of an endpoint of Event Hubs."""
    def wait(self, token: tuple[str, int] | None, limit: float | None) -> Operation:
        """Wait until there is an event: False if there is none in `limit` seconds. Cancelled, it loses nothing."""
    def next(self) -> Event | None:
        """The next event that has arrived."""
    def position(self) -> list[tuple[str, str, str]]:
        """Places behind all that `next` gave."""
    def close(self) -> Operation:
        """End the connection; who waits gets the error `shut_down`."""

@final
class Event:
    """What a device or module sent, and what the hub says of it. It can't be changed.

    What the hub or the sender did not give is None.
    https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct
    """

    @property
    def body(self) -> bytes:
        """What was sent."""
    def json(self) -> Any:
        """The body read as JSON. Raises ValueError if it is none."""
    @property
    def properties(self) -> dict[str, Any]:
        """The properties that the sender gave it; the dict is made anew each time."""
    @property
    def system_properties(self) -> dict[str, Any]:
        """All others, under the names that they have on the wire: `iothub-connection-device-id`, `x-opt-offset`, …

        Those of every AMQP message, such as `message_id` and `user_id`, are there too.
        """
    @property
    def device_id(self) -> str | None:
        """The device that sent it, or that it is about."""
    @property
    def module_id(self) -> str | None:
        """The module of the device."""
    @property
    def message_source(self) -> str | None:
        """What it is: `Telemetry`, `twinChangeEvents`, `deviceLifecycleEvents`, …"""
    @property
    def enqueued_time(self) -> dt.datetime | None:
        """When the hub took it, in UTC."""
    @property
    def partition(self) -> str:
        """The partition that it was read from."""
    @property
    def offset(self) -> str | None:
        """Its place in the partition."""
    @property
    def sequence_number(self) -> int | None:
        """Its number in the partition, one more than that of the event before."""
    @property
    def message_id(self) -> Any:
        """The sender's id of it."""
    @property
    def correlation_id(self) -> Any:
        """The id of what it is about."""
    @property
    def content_type(self) -> str | None:
        """What the body is, `application/json` for instance."""
    @property
    def content_encoding(self) -> str | None:
        """How its text is encoded, `utf-8` for instance."""
    @property
    def auth_method(self) -> str | None:
        """How the sender showed who it is, as JSON."""
    @property
    def auth_generation_id(self) -> str | None:
        """The generation of the sender's identity: one that is made anew under its name has another."""
    @property
    def dataschema(self) -> str | None:
        """The IoT Plug and Play model of the device."""
    @property
    def subject(self) -> str | None:
        """The component of the model that it is from."""

@final
class QueueReceiver:
    """What reads a hub's queue for back ends, over AMQP: `feedback` or `file_notifications`."""

    def __new__(
        cls, host_name: str, websocket: bool, policy: str | None, key: str | None, queue: str
    ) -> QueueReceiver: ...
    def wait(self, token: tuple[str, int] | None, limit: float | None) -> Operation:
        """Wait until there is a message, and give whether there is; no limit waits without end."""
    def take(self) -> QueueMessage | None:
        """The next message, if one has come."""
    def close(self) -> Operation:
        """End the connection, and every wait."""

@final
class QueueMessage:
    """A message of a queue. What is not settled the hub gives again."""

    @property
    def body(self) -> bytes:
        """What is in it."""
    def accept(self) -> Operation:
        """Tell the hub that it was read."""
    def release(self) -> Operation:
        """Tell the hub that it is to be given to whoever reads next."""

@final
class Hub:
    """A running local hub; requests and answers are JSON texts."""

    def __new__(
        cls,
        port: int,
        standard_ports: bool,
        data: str | None,
        host_name: str | None,
        key: str | None,
        limits: list[str],
        partitions: int | None,
        consumer_groups: list[str],
        events: list[str],
    ) -> Hub: ...
    def describe(self) -> str: ...
    def call(self, request: str) -> str: ...
    def stop(self) -> None: ...

def recover_outbox(path: str) -> int | None:
    """Take what can be read from a damaged file into a new one; how many messages, None if it is whole."""

def cli_main(arguments: list[str]) -> int: ...
