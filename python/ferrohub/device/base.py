"""What the synchronous and the asyncio clients share: what they send, and their handlers.

A call is prepared here as an operation of the core; the clients differ only in how they wait for it.
"""

from __future__ import annotations

import sys
import warnings

from ferrohub._frames import one_frame
from ferrohub._native import MessageWriter
from ferrohub.device import _json, exceptions
from ferrohub.device import internal_exceptions as internal
from ferrohub.device.abstract_clients import AbstractIoTHubClient
from ferrohub.device.constant import TELEMETRY_MESSAGE_SIZE_LIMIT
from ferrohub.device.message import SYSTEM_PROPERTIES, Message, payload, properties
from ferrohub.device.methods import MethodResponse
from ferrohub.device.received import MODELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Callable, TypeVar

    from ferrohub._native import DeviceClient, Operation
    from ferrohub.device.handlers import Handlers

    Written = TypeVar("Written")


class Usual(float):
    """The time of a call that isn't given one, in seconds: `operation_timeout` of the client replaces it."""


CONNECT_TIMEOUT = Usual(60.0)
"""For a connection, from the name look-up to the hub's word: `connect`, `update_sastoken`."""
SEND_TIMEOUT = Usual(120.0)
"""For a message or a method response to be acknowledged, with the waiting for a lost connection."""
TWIN_TIMEOUT = Usual(30.0)
"""For everything else: twins, subscriptions (handlers, `receive_…`), file uploads, `disconnect`, `shutdown`."""
METHOD_TIMEOUT = Usual(40.0)
"""For the call of a direct method: connect and response timeout of the method (0 and 30), and 10 for the ways."""
NO_WAIT_TIMEOUT = 10.0
"""For the subscription that `block=False` needs at its first call."""


def time_of_method(method_params: dict[str, Any]) -> Usual:
    """How long a call of this method takes at most; what is no number, the hub refuses at once."""
    times = [method_params.get("connectTimeoutInSeconds"), method_params.get("responseTimeoutInSeconds", 30)]
    return Usual(10 + sum(time for time in times if isinstance(time, (int, float))))


_NOT_ON_EDGE = (
    "invoke_method called, but it is only supported on module clients generated from an edge environment. If you are"
    " not using a module generated from an edge environment, you cannot use invoke_method:"
    " create_from_edge_environment makes such a client"
)


class DeprecatedWarning(DeprecationWarning):
    """A method that the official package has deprecated; it goes on working."""


def warn_deprecated(method: str, replacement: str) -> None:
    """Warn as the official package does: attributed to the package, so that Python's default filters hide it."""
    warnings.warn(
        f"{method} is deprecated as of 2.3.0. We recommend that you use the .{replacement} property to set a"
        " handler instead",
        DeprecatedWarning,
        stacklevel=1,
    )


STATE_LOGGER = "azure.iot.device.iothub.abstract_clients"
"""Where programs look for "Connection State - Connected"."""


def _connections_are_logged() -> bool:
    """Whether the program has asked for these lines: only then a client without handlers follows its news."""
    logging = sys.modules.get("logging")
    return logging is not None and logging.getLogger(STATE_LOGGER).isEnabledFor(logging.WARNING)


def _handler_property(kind: str, documentation: str) -> property:
    """A property that holds the handler of a kind; setting it subscribes, setting None ends that."""

    def read(self: GenericIoTHubClient) -> Callable[..., Any] | None:
        return None if self._handlers is None else self._handlers.get(kind)

    @one_frame
    def write(self: GenericIoTHubClient, handler: Callable[..., Any] | None) -> None:
        if kind in MODELS:
            if self._receives_by == "calls":
                raise exceptions.ClientError("Cannot set receive handlers - receive APIs have already been used")
            self._receives_by = "handlers"
        self._follow_news().set(kind, handler, self._seconds(TWIN_TIMEOUT))

    return property(read, write, doc=documentation)


def _in_its_form(write: Callable[[Any], Written], value: Any) -> Written:
    """What is to be sent, written. Raises ClientError if it has no form."""
    try:
        return write(value)
    except (TypeError, ValueError) as error:
        raise exceptions.ClientError(f"Unexpected failure: {error}") from error


WRITER = MessageWriter(Message, list(SYSTEM_PROPERTIES.items()), TELEMETRY_MESSAGE_SIZE_LIMIT)


def _checked(message: Any, what: str = "message") -> tuple[list[tuple[str, str]], bytes]:
    """Properties and payload of a message that the writer leaves to Python.

    Raises ValueError if it is too large, ClientError if it has no form.
    """
    if not isinstance(message, Message):
        message = Message(message)
    if message.get_size() > TELEMETRY_MESSAGE_SIZE_LIMIT:
        raise ValueError(f"Size of {what} can not exceed 256 KB.")
    return _in_its_form(properties, message), _in_its_form(payload, message.data)


def checked_telemetry(message: Any) -> tuple[list[tuple[str, str]], bytes]:
    """A message's properties and payload as they are sent; raises what is wrong with it."""
    return _checked(message, "telemetry message")


class GenericIoTHubClient(AbstractIoTHubClient):
    """What clients of devices and modules have in common."""

    _logger_name: str

    def __init__(self, core: DeviceClient) -> None:
        super().__init__(core)
        self._handlers: Handlers | None = None
        self._receives_by: str | None = None  # "calls" or "handlers": one excludes the other
        if _connections_are_logged():
            self._follow_news()

    def _follow_news(self) -> Handlers:
        """Have news of the connection and the outbox told or logged. The first time brings a thread."""
        if self._handlers is None:
            from ferrohub.device.dispatcher import handlers_of

            self._handlers = handlers_of(self._core)
        return self._handlers

    def _log(self, line: str) -> None:
        """Log a line that programs look for, with the client's name, if the program logs anything."""
        logging = sys.modules.get("logging")
        if logging is not None:
            logging.getLogger(self._logger_name).info("%s (%s)", line, self._core.client_id)

    def _seconds(self, timeout: float | None) -> float | None:
        """The time of a call: its own, that of the client, or the usual one. None waits without end."""
        if self._operation_timeout is not None and isinstance(timeout, Usual):
            return self._operation_timeout
        return timeout

    def _seconds_to_subscribe(self, limit: float | None) -> float | None:
        """A subscription takes a moment, also for a call that doesn't want to wait; and not without end."""
        return self._seconds(TWIN_TIMEOUT) if limit is None else limit or NO_WAIT_TIMEOUT

    def _receive_by_calls(self) -> None:
        if self._receives_by == "handlers":
            raise exceptions.ClientError("Cannot use receive APIs - receive handler(s) have already been set")
        self._receives_by = "calls"

    @property
    def connected(self) -> bool:
        """Whether the client is connected at this moment."""
        return self._core.connected

    @property
    def statistics(self) -> dict[str, int]:
        """Counters since the client was made.

        Of messages and method responses: `sent` (written, each once), `acknowledged`, `failed`, and how many are
        `queued` and `in_flight` now. `reconnects`: how often a lost connection was made again.

        With an outbox these say what the connection does with stored messages, and there are also `stored` and
        `stored_bytes`, which it holds now, and what it has given up: `expired`, `dropped` to make room, `refused`.
        """
        return dict(self._core.statistics)

    on_connection_state_change = _handler_property(
        "state", "`handler()`: called when the client has connected or disconnected; look at `connected`."
    )
    on_background_exception = _handler_property(
        "background", "`handler(exception)`: called with what fails while no call waits for it."
    )
    on_new_sastoken_required = _handler_property(
        "token", "`handler()`: called when the token given expires soon; bring another with `update_sastoken`."
    )
    on_twin_desired_properties_patch_received = _handler_property(
        "desired_patch", "`handler(patch)`: called with each patch of desired properties, one after another."
    )
    on_message_received = _handler_property(
        "message", "`handler(message)`: called with cloud-to-device messages, or those on a module's inputs."
    )
    on_method_request_received = _handler_property(
        "method", "`handler(request)`: called with calls of direct methods; answer with `send_method_response`."
    )

    def _message_operation(self, message: Any, timeout: float | None) -> Operation:
        return self._core.send_message(message, WRITER, checked_telemetry, self._seconds(timeout))

    def _messages_operation(self, messages: Iterable[Any], timeout: float | None) -> Operation:
        return self._core.send_messages(list(messages), WRITER, checked_telemetry, self._seconds(timeout))

    def _output_operation(self, message: Any, output_name: str, timeout: float | None) -> Operation:
        if not isinstance(message, Message):
            message = Message(message)
        message.output_name = output_name
        return self._core.send_message(message, WRITER, _checked, self._seconds(timeout))

    def _response_operation(self, response: MethodResponse, timeout: float | None) -> Operation:
        body = _in_its_form(_json.write, response.payload)
        return self._core.respond_to_method(response.request_id, int(response.status), body, self._seconds(timeout))

    def _storage_info_operation(self, blob_name: str, timeout: float | None) -> Operation:
        return self._core.get_storage_info(_in_its_form(_json.write, {"blobName": blob_name}), self._seconds(timeout))

    def _upload_status_operation(
        self, correlation_id: str, is_success: bool, status_code: int, description: str, timeout: float | None
    ) -> Operation:
        status = {
            "correlationId": correlation_id,
            "isSuccess": is_success,
            "statusCode": status_code,
            "statusDescription": description,
        }
        return self._core.notify_upload(_in_its_form(_json.write, status), self._seconds(timeout))

    def _invocation(
        self, method_params: dict[str, Any], device_id: str, module_id: str | None, timeout: float | None
    ) -> Operation:
        """A call of a direct method; without a time of its own or the client's, it has that of the method."""
        method_params["methodName"]  # its KeyError is the official one
        if not self._on_edge:
            failure = exceptions.ClientError(f"Unexpected failure: {_NOT_ON_EDGE}")
            raise failure from internal.PipelineRuntimeError(_NOT_ON_EDGE)
        if timeout is METHOD_TIMEOUT:
            timeout = time_of_method(method_params)
        body = _in_its_form(_json.write, method_params)
        return self._core.invoke_method(device_id, module_id, body, self._seconds(timeout))

    def _patch_operation(self, patch: Any, timeout: float | None) -> Operation:
        return self._core.patch_reported_properties(_in_its_form(_json.write, patch), self._seconds(timeout))
