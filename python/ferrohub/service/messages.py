"""Messages over AMQP: what managers of both kinds have to send them to devices, and to read what the hub has for them.

The core keeps the connection, shows tokens and connects again; see `src/service/amqp`.
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d
"""

from __future__ import annotations

import threading

from ferrohub._native import CoreError, MessageSender, QueueReceiver
from ferrohub.service import message_errors
from ferrohub.service.retry import checked_timeout
from ferrohub.service.transport_type import TransportType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Callable, TypeVar, Union

    from ferrohub._native import Operation
    from ferrohub.service.authentication import Authorization

    Message = Union[tuple[str, Any], tuple[str, Any, Mapping[str, Any]]]
    Native = TypeVar("Native")
    Token = Union[tuple[str, int], None]
    Results = list[Union[tuple[str, str, list[str]], None]]


class Messages:
    """The messages of one manager: one connection, made when it is first needed."""

    def __init__(
        self, host_name: str, authorization: Authorization, transport_type: TransportType, timeout: float, blocks: bool
    ) -> None:
        self.authorization = authorization
        self._host_name = host_name
        self._websocket = transport_type is TransportType.AmqpOverWebsocket
        self._timeout = timeout
        self._blocks = blocks
        self._sender: MessageSender | None = None
        self._opening = threading.Lock()

    def one(self, message: Message, token: Token, timeout: float | None) -> Operation:
        """What the core has to do for one message."""
        return self._open().send(_parts(message), token, self._limit(timeout))

    def many(self, messages: Iterable[Message], token: Token, timeout: float | None) -> Operation:
        """What the core has to do for many; it gives None, or the parts of an error, for each."""
        return self._open().send_all([_parts(message) for message in messages], token, self._limit(timeout))

    def closing(self) -> Operation | None:
        """What the core has to do to end the connection, if there was one."""
        return self._sender.close() if self._sender is not None else None

    def send(self, message: Message, timeout: float | None) -> None:
        """Send a message and wait until the hub has accepted it."""
        _waited(self.one(message, self.authorization.bearer(), timeout))

    def send_all(self, messages: Iterable[Message], timeout: float | None) -> list[Exception | None]:
        """Send messages without waiting between them."""
        return outcomes(_waited(self.many(messages, self.authorization.bearer(), timeout)))

    def close(self) -> None:
        """End the connection; a message afterwards opens a new one."""
        operation = self.closing()
        if operation is not None:
            _waited(operation)

    def receiver(self, queue: str) -> QueueReceiver:
        """What reads one of the hub's queues for back ends, over a connection of its own. Does no I/O."""
        return self._made(QueueReceiver, queue)

    def _open(self) -> MessageSender:
        with self._opening:
            if self._sender is None:
                self._sender = self._made(MessageSender, self._blocks)
            return self._sender

    def _made(self, native: Callable[..., Native], *more: Any) -> Native:
        policy, key = self.authorization.policy_name, self.authorization.key
        try:
            return native(self._host_name, self._websocket, policy, key, *more)
        except CoreError as error:
            raise message_errors.from_core(error) from None

    def _limit(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else checked_timeout(timeout)


def outcomes(results: Results) -> list[Exception | None]:
    """What users get for each message: None if it was sent, else the exception that sending it alone would raise."""
    return [None if parts is None else message_errors.from_parts(*parts) for parts in results]


def _waited(operation: Operation) -> Any:
    try:
        return operation.wait()
    except CoreError as error:
        raise message_errors.from_core(error) from None


def _parts(message: Message) -> tuple[str, Any, list[tuple[Any, Any]]]:
    device_id, body, *properties = message
    return device_id, body, list(properties[0].items()) if properties else []
