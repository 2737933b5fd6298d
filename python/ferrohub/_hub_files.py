"""The local hub's blob container: what devices upload, and what jobs import and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

# JSON has no infinity.
A_LONG_TIME = 1e9


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


class Files:
    """What `LocalHub` has about files."""

    def _ask(self, **request: Any) -> tuple[Any, Exception | None]:
        raise NotImplementedError

    def container_uri(self, lifetime: float = 3600) -> str:
        """The address of the hub's blob container, with a token that opens it.

        It is what import and export jobs take (`output_blob_container_uri`, `input_blob_container_uri`), and clients of
        Azure Storage: `ContainerClient.from_container_url`. The container also has what devices upload.

        Args:
            lifetime: For how many seconds the token is good, by the hub's clock.
        """
        answer, error = self._ask(call="container_uri", seconds=min(lifetime, A_LONG_TIME))
        if error is not None:
            raise error
        return str(answer)

    def put_blob(self, name: str, content: bytes | str) -> None:
        """Write a file into the hub's blob container: what an import is to read.

        Args:
            name: Its name, such as `devices.txt`.
            content: What is to be in it; text in UTF-8.

        Raises:
            ValueError: There is no room: the hub keeps 256 MiB in memory.
        """
        from base64 import b64encode

        data = content.encode() if isinstance(content, str) else content
        _, error = self._ask(call="put_blob", name=name, content=b64encode(data).decode())
        if error is not None:
            raise error

    def blobs(self) -> list[str]:
        """The names of the files in the hub's container, in order: what devices upload is called `device/name`."""
        answer, error = self._ask(call="blobs")
        if error is not None:
            raise error
        return list(answer)

    def blob(self, name: str) -> bytes:
        """What is in a file of the hub's container.

        Args:
            name: Its name; of an uploaded one `device/name`, which `get_storage_info_for_blob` calls `blobName`.

        Raises:
            LookupError: There is no such file.
        """
        from base64 import b64decode

        answer, error = self._ask(call="blob", name=name)
        if error is not None:
            raise error
        if answer is None:
            raise LookupError(f"no file {name!r} has been uploaded; there are {self.blobs()}")
        return b64decode(answer)

    def file_notifications(self) -> list[FileNotification]:
        """How uploads have ended, as devices told it, oldest first: the last 10,000."""
        answer, error = self._ask(call="file_notifications")
        if error is not None:
            raise error
        return [file_notification(notification) for notification in answer]
