"""The same as `service/events.py`, with `azure-eventhub`: in batches of 300, what it has on their way by default."""

import datetime as dt
import threading
from typing import Any

from azure.eventhub import EventHubConsumerClient
from measure import CA_FILE, CALLS, EVENT_HUBS, PAYLOAD, SENDERS, measured, ready

DEVICE_ID = b"iothub-connection-device-id"
began = dt.datetime.now(dt.timezone.utc)


def read() -> int:
    """All events since the beginning, to the last of each device."""
    client = EventHubConsumerClient.from_connection_string(
        EVENT_HUBS, consumer_group="$Default", connection_verify=CA_FILE
    )
    counts = {"events": 0, "ended": 0}
    counting, done = threading.Lock(), threading.Event()

    def take(_: Any, batch: list[Any]) -> None:
        with counting:
            for event in batch:
                if b"".join(event.body) == PAYLOAD:
                    assert event.system_properties[DEVICE_ID] is not None
                    counts["events"] += 1
                else:
                    counts["ended"] += 1
            if counts["ended"] == SENDERS:
                done.set()

    options = {"starting_position": began, "starting_position_inclusive": True, "max_batch_size": 300}
    reading = threading.Thread(target=client.receive_batch, args=(take,), kwargs=options, daemon=True)
    reading.start()
    assert done.wait(250)
    return counts["events"]


ready()
assert read() == CALLS
with measured(sent=CALLS + SENDERS):
    assert read() == CALLS
