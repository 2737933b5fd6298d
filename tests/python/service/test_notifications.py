"""`manager.feedback()` and `manager.file_notifications()` against a local hub: what comes, what counts as read, what
ends it, and what it survives.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager, aio
from ferrohub import LocalHub
from ferrohub.service import FeedbackRecord, FileNotification, TransportType
from ferrohub.service.message_errors import AMQPConnectionError, MessageTimeout, TokenAuthFailure
from ferrohub.service.notifications import read_feedback

SECONDS = 20
SILENCE = 1
"""Of a reader who expects nothing more."""
TRANSPORTS = list(TransportType)
AT_ONCE = {"feedback_seconds": 0}


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A hub that gives feedback at once."""
    with LocalHub(limits=AT_ONCE) as hub:
        yield hub


@pytest.fixture
def registry(hub: LocalHub) -> Iterator[IoTHubRegistryManager]:
    with IoTHubRegistryManager(hub.connection_string) as registry:
        registry.create_device_with_sas("d", "", "", "enabled")
        yield registry


def leave_feedback(registry: IoTHubRegistryManager, *ids: str) -> None:
    """Send messages and take them back."""
    for name in ids:
        registry.send_c2d_message("d", "hello", {"messageId": name, "iothub-ack": "full"})
    registry.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("d")


def names(records: Iterator[FeedbackRecord], count: int) -> list[str]:
    return [next(records).original_message_id for _ in range(count)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_record_tells_what_became_of_a_message(hub: LocalHub, registry: Any, transport: TransportType) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    registry.send_c2d_message("d", "hello", {"messageId": "m-1", "iothub-ack": "positive"})
    with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as device:
        device.connect()
        next(iter(device.messages()))
    with IoTHubRegistryManager(hub.connection_string, transport_type=transport) as manager:
        record = next(manager.feedback(timeout=SECONDS))
    generation = registry.get_device("d").generation_id
    assert record[:5] == ("m-1", "Success", "Success", "d", generation)
    assert before < record.enqueued_time_utc < datetime.now(timezone.utc)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_coroutine_reads_likewise(hub: LocalHub, registry: Any, transport: TransportType) -> None:
    leave_feedback(registry, "1", "2", "3")

    async def read() -> list[str]:
        async with aio.IoTHubRegistryManager(hub.connection_string, transport_type=transport) as manager:
            return [record.original_message_id async for record in manager.feedback(timeout=SILENCE)]

    assert asyncio.run(read()) == ["1", "2", "3"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_files_that_devices_upload_are_told(hub: LocalHub, registry: Any, transport: TransportType) -> None:
    with IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string("d")) as device:
        place = device.get_storage_info_for_blob("log.txt")
        hub.put_blob(place["blobName"], b"12345")
        device.notify_blob_upload_status(place["correlationId"], True, 200, "done")
    with IoTHubRegistryManager(hub.connection_string, transport_type=transport) as manager:
        told = list(manager.file_notifications(timeout=SILENCE))
    now = datetime.now(timezone.utc)
    [file] = told
    uri = f"https://localhost:{hub.port}/uploads/d/log.txt"
    assert file == FileNotification("d", uri, "d/log.txt", file.last_updated_time, 5, file.enqueued_time_utc)
    assert file.last_updated_time is not None
    assert file.last_updated_time <= file.enqueued_time_utc < now

    async def read() -> list[FileNotification]:
        async with aio.IoTHubRegistryManager(hub.connection_string, transport_type=transport) as manager:
            return [file async for file in manager.file_notifications(timeout=SILENCE)]

    assert asyncio.run(read()) == []


def test_a_batch_of_which_not_all_was_taken_comes_again() -> None:
    with LocalHub(limits={"feedback_seconds": 1}) as hub, IoTHubRegistryManager(hub.connection_string) as registry:
        registry.create_device_with_sas("d", "", "", "enabled")
        leave_feedback(registry, "1", "2")
        with registry.feedback(timeout=SECONDS) as records:
            assert names(records, 1) == ["1"]
        with registry.feedback(timeout=SECONDS) as records:
            assert names(records, 2) == ["1", "2"]
        assert list(registry.feedback(timeout=SILENCE)) == []


def test_what_was_being_read_when_an_error_came_comes_again(hub: LocalHub, registry: Any) -> None:
    leave_feedback(registry, "1")

    def fail() -> None:
        with registry.feedback(timeout=SECONDS) as records:
            raise LookupError(*names(records, 1))

    async def fail_likewise() -> None:
        manager = aio.IoTHubRegistryManager(hub.connection_string)
        async with manager, manager.feedback(timeout=SECONDS) as records:
            raise LookupError((await records.__anext__()).original_message_id)

    with pytest.raises(LookupError, match="1"):
        fail()
    with pytest.raises(LookupError, match="1"):
        asyncio.run(fail_likewise())
    for record in registry.feedback(timeout=SECONDS):
        assert record.original_message_id == "1"
        break  # The reader is gone, and has told nothing.
    with registry.feedback(timeout=SECONDS) as records:
        assert names(records, 1) == ["1"]
    assert list(registry.feedback(timeout=SILENCE)) == []


def test_several_readers_share_what_there_is(registry: IoTHubRegistryManager) -> None:
    for name in "1234":
        leave_feedback(registry, name)
    with registry.feedback(timeout=SECONDS) as one, registry.feedback(timeout=SECONDS) as other:
        assert sorted(names(one, 2) + names(other, 2)) == ["1", "2", "3", "4"]
    assert list(registry.feedback(timeout=SILENCE)) == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_reader_goes_on_when_the_hub_was_killed(tmp_path: Path, transport: TransportType) -> None:
    with LocalHub(process=True, data=tmp_path / "hub", limits=AT_ONCE) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas("d", "", "", "enabled")
        reader = IoTHubRegistryManager(hub.connection_string, transport_type=transport)
        with reader.feedback(timeout=SECONDS) as records:
            leave_feedback(registry, "1")
            assert names(records, 1) == ["1"]
            hub.kill()
            hub.restart()
            leave_feedback(registry, "2")
            # The hub was not told that the first one was read.
            assert sorted(names(records, 2)) == ["1", "2"]
        assert list(reader.feedback(timeout=SILENCE)) == []


def test_a_coroutine_goes_on_when_the_hub_was_killed(tmp_path: Path) -> None:
    async def read(hub: LocalHub, registry: IoTHubRegistryManager) -> list[str]:
        manager = aio.IoTHubRegistryManager(hub.connection_string)
        async with manager, manager.feedback(timeout=SECONDS) as records:
            waiting = asyncio.ensure_future(records.__anext__())
            leave_feedback(registry, "1")
            first = await waiting
            hub.kill()
            hub.restart()
            leave_feedback(registry, "2")
            rest = [await records.__anext__() for _ in range(2)]
            return [record.original_message_id for record in (first, *rest)]

    with LocalHub(process=True, data=tmp_path / "hub", limits=AT_ONCE) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas("d", "", "", "enabled")
        first, *rest = asyncio.run(read(hub, registry))
    assert (first, sorted(rest)) == ("1", ["1", "2"])


def test_a_hub_that_stays_away_is_told_when_the_time_is_over(registry: IoTHubRegistryManager, hub: LocalHub) -> None:
    records = registry.feedback(timeout=SILENCE)
    assert list(records) == []
    hub.stop()
    with pytest.raises(MessageTimeout, match="no connection to the hub"):
        next(records)


def test_errors_say_what_the_hub_said(registry: IoTHubRegistryManager, hub: LocalHub) -> None:
    lesser = hub.policy_connection_string("registryRead")
    with pytest.raises(TokenAuthFailure, match="Unauthorized"):
        next(IoTHubRegistryManager(lesser).feedback(timeout=SECONDS))
    nowhere = hub.connection_string.replace(str(hub.port), "1")
    with pytest.raises(AMQPConnectionError):
        next(IoTHubRegistryManager(nowhere).file_notifications(timeout=SECONDS))

    async def read(connection_string: str) -> Any:
        async with aio.IoTHubRegistryManager(connection_string) as manager:
            return await manager.feedback(timeout=SECONDS).__anext__()

    with pytest.raises(TokenAuthFailure, match="Unauthorized"):
        asyncio.run(read(lesser))
    with pytest.raises(AMQPConnectionError):
        asyncio.run(read(nowhere))
    with pytest.raises(ValueError, match="timeout"):
        registry.feedback(timeout=-1)


def test_close_ends_a_wait(registry: IoTHubRegistryManager, hub: LocalHub) -> None:
    records = registry.feedback()
    ended = threading.Thread(target=lambda: list(records))
    ended.start()
    records.close()
    ended.join(SECONDS)
    assert not ended.is_alive()
    assert list(records) == []

    async def read() -> list[Any]:
        async with aio.IoTHubRegistryManager(hub.connection_string) as manager:
            records = manager.feedback()

            async def read_all() -> list[Any]:
                return [record async for record in records]

            reading = asyncio.ensure_future(read_all())
            await asyncio.sleep(0)
            await records.close()
            return await asyncio.wait_for(reading, SECONDS)

    assert asyncio.run(read()) == []


def test_a_task_that_is_cancelled_while_it_waits_loses_nothing(registry: Any, hub: LocalHub) -> None:
    async def read() -> str:
        async with aio.IoTHubRegistryManager(hub.connection_string) as manager, manager.feedback() as records:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(records.__anext__(), 0.5)
            leave_feedback(registry, "1")
            return (await asyncio.wait_for(records.__anext__(), SECONDS)).original_message_id

    assert asyncio.run(read()) == "1"
    assert list(registry.feedback(timeout=SILENCE)) == []


def test_a_hub_that_leaves_out_success_means_it() -> None:
    batch = b'[{"originalMessageId":"m","description":"Success","deviceGenerationId":"6357","deviceId":"d",'
    [record] = read_feedback(batch + b'"enqueuedTimeUtc":"2015-10-29T07:59:00.9772497Z"}]')
    enqueued = datetime(2015, 10, 29, 7, 59, 0, 977249, timezone.utc)
    assert record == FeedbackRecord("m", "Success", "Success", "d", "6357", enqueued)
