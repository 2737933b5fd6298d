"""What `service/events.py` and `service/event_hubs.py` read: messages of some devices, the last of each an end."""

from azure.iot.device import IoTHubDeviceClient
from measure import CALLS, PAYLOAD, SENDERS, device, device_id

BATCH = 1000
END = b"end"

for sender in range(SENDERS):
    with IoTHubDeviceClient.create_from_connection_string(device(device_id(sender))) as client:
        count = len(range(sender, CALLS, SENDERS))
        for first in range(0, count, BATCH):
            client.send_messages([PAYLOAD] * min(BATCH, count - first))
        client.send_message(END)
