"""Events read with `manager.events()`: what `service/filling.py` has sent, for the second time."""

import datetime as dt

from azure.iot.hub import IoTHubRegistryManager
from measure import CALLS, CONNECTION_STRING, PAYLOAD, SENDERS, measured, ready

manager = IoTHubRegistryManager.from_connection_string(CONNECTION_STRING)
began = dt.datetime.now(dt.timezone.utc)


def read() -> int:
    """All events since the beginning, to the last of each device."""
    events = ended = 0
    with manager.events(began, timeout=60) as reader:
        for event in reader:
            if event.body == PAYLOAD:
                assert event.device_id is not None
                events += 1
            else:
                ended += 1
                if ended == SENDERS:
                    break
    return events


ready()
assert read() == CALLS
with measured(sent=CALLS + SENDERS):
    assert read() == CALLS
