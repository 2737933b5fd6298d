"""What devices have told the local hub about files that they uploaded, as `LocalHub` tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class FileNotification(NamedTuple):
    """How an upload has ended, as the device told the hub."""

    device_id: str
    blob_name: str
    """`device/name`, as `LocalHub.blob` takes it."""
    is_success: bool
    status_code: int | None
    status_description: str | None
    blob_size: int | None
    """In bytes; None if no blob is there."""
    last_updated_time: datetime | None
    """When the blob was written, in UTC; None if none is there."""
    enqueued_time: datetime
    """When the device told the hub, in UTC."""


def file_notification(notification: dict[str, Any]) -> FileNotification:
    """A notification from the hub's JSON."""
    from ferrohub._hub_events import moment

    updated = notification["lastUpdatedUnixMillis"]
    return FileNotification(
        device_id=notification["device"],
        blob_name=notification["blobName"],
        is_success=notification["isSuccess"],
        status_code=notification["statusCode"],
        status_description=notification["statusDescription"],
        blob_size=notification["blobSize"],
        last_updated_time=None if updated is None else moment(updated),
        enqueued_time=moment(notification["enqueuedUnixMillis"]),
    )
