"""Reading what the hub has for back ends: feedback on messages to devices, and notifications of uploaded files.

    for record in manager.feedback(timeout=60):
        print(record.original_message_id, record.status_code)

The core keeps the connection and connects again; see `src/service/amqp`. The hub gives every message to one reader, and
to another if it is not told within a minute that it was read: each is read at least once.
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d#message-feedback
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-file-upload
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ferrohub._frames import one_frame, one_frame_async
from ferrohub._native import CoreError
from ferrohub.service import loops, message_errors
from ferrohub.service.codecs import decode_datetime
from ferrohub.service.readers import AnyReader, AsyncReader, Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Self

    from ferrohub._native import Operation, QueueMessage, QueueReceiver
    from ferrohub.service.authentication import Authorization

Item = TypeVar("Item")


class FeedbackRecord(NamedTuple):
    """What became of a message to a device whose `iothub-ack` asked for it."""

    original_message_id: str
    """The message's `messageId`."""
    status_code: str
    """`Success`, `Expired`, `DeliveryCountExceeded`, `Rejected` or `Purged`."""
    description: str
    """The same for people."""
    device_id: str
    device_generation_id: str
    """Tells the device from an earlier one of the same name."""
    enqueued_time_utc: datetime
    """When it came to this, in UTC."""


class FileNotification(NamedTuple):
    """A file that a device has uploaded."""

    device_id: str
    blob_uri: str
    """Its address, without a token."""
    blob_name: str
    """`device/name`."""
    last_updated_time: datetime | None
    """When it was written, in UTC; None if the hub did not see it."""
    blob_size_in_bytes: int
    enqueued_time_utc: datetime
    """When the device told the hub, in UTC."""


def read_feedback(body: bytes) -> list[FeedbackRecord]:
    """The records of a batch. Some hubs leave out a status that is a success."""
    return [
        FeedbackRecord(
            original_message_id=record.get("originalMessageId", ""),
            status_code=record.get("statusCode", "Success"),
            description=record.get("description", ""),
            device_id=record["deviceId"],
            device_generation_id=record.get("deviceGenerationId", ""),
            enqueued_time_utc=decode_datetime(record["enqueuedTimeUtc"]),
        )
        for record in json.loads(body)
    ]


def read_file_notification(body: bytes) -> list[FileNotification]:
    """The one notification of a message."""
    notification = json.loads(body)
    updated = notification.get("lastUpdatedTime")
    return [
        FileNotification(
            device_id=notification["deviceId"],
            blob_uri=notification["blobUri"],
            blob_name=notification["blobName"],
            last_updated_time=None if updated is None else decode_datetime(updated),
            blob_size_in_bytes=notification["blobSizeInBytes"],
            enqueued_time_utc=decode_datetime(notification["enqueuedTimeUtc"]),
        )
    ]


class Queue(Generic[Item]):
    """A queue of the hub: its name, as the core knows it, and what reads the items of a message."""

    def __init__(self, name: str, read: Callable[[bytes], list[Item]]) -> None:
        self.name = name
        self.read = read


FEEDBACK = Queue("feedback", read_feedback)
FILE_NOTIFICATIONS = Queue("file_notifications", read_file_notification)


class AnyNotifications(AnyReader, Generic[Item]):
    """What readers of both kinds have: the message that is being read, and its items that were not taken yet."""

    _reader: QueueReceiver

    def __init__(
        self,
        reader: QueueReceiver,
        authorization: Authorization,
        read: Callable[[bytes], list[Item]],
        timeout: float | None,
    ) -> None:
        super().__init__(reader, authorization, timeout)
        self._read = read
        self._message: QueueMessage | None = None
        self._items: deque[Item] = deque()

    def _open_message(self) -> None:
        """Take the message that has come, if there is one."""
        message = self._reader.take()
        if message is not None:
            self._message = message
            self._items.extend(self._read(message.body))

    def _settling(self, *, failed: bool = False) -> Operation | None:
        """What tells the hub that a message was read, or, if not all of it was taken, that it was not."""
        message, self._message = self._message, None
        if message is None:
            return None
        is_read = not self._items and not failed
        self._items.clear()
        return message.accept() if is_read else message.release()


class Notifications(AnyNotifications[Item], Reader):
    """What a hub has for back ends, as it comes: an iterator, and a context manager that closes it.

    A message, such as a batch of feedback, counts as read when the next step is taken after its last item, or when this
    is closed then. Else the hub gives it to whoever reads next: an item may come more than once.
    """

    def __iter__(self) -> Self:
        return self

    @one_frame
    def __next__(self) -> Item:
        """The next item; waits for it."""
        while not self._items:
            self._settle()
            if not self._wait():
                raise StopIteration
            self._open_message()
        return self._items.popleft()

    def close(self) -> None:
        """End the connection, and the iteration."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(failed=error is not None)

    def _close(self, *, failed: bool = False) -> None:
        self._closed = True
        self._settle(failed=failed)
        self._reader.close().wait()

    def _settle(self, *, failed: bool = False) -> None:
        operation = self._settling(failed=failed)
        if operation is not None:
            # If the connection was lost, the hub gives the message again.
            with suppress(CoreError):
                operation.wait()


class AsyncNotifications(AnyNotifications[Item], AsyncReader):
    """The same for asyncio: an asynchronous iterator and context manager."""

    def __aiter__(self) -> Self:
        return self

    @one_frame_async
    async def __anext__(self) -> Item:
        """The next item; waits for it. A task that is cancelled here loses nothing."""
        while not self._items:
            await self._settle()
            if not await self._wait():
                raise StopAsyncIteration
            self._open_message()
        return self._items.popleft()

    async def close(self) -> None:
        """End the connection, and the iteration."""
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(failed=error is not None)

    async def _close(self, *, failed: bool = False) -> None:
        self._closed = True
        await self._settle(failed=failed)
        await loops.for_messages().run(self._reader.close())

    async def _settle(self, *, failed: bool = False) -> None:
        operation = self._settling(failed=failed)
        if operation is not None:
            # If the connection was lost, the hub gives the message again.
            with suppress(message_errors.MessageError):
                await loops.for_messages().run(operation)
