"""Messages with `send_messages`, a thousand in a call."""

from azure.iot.device import IoTHubDeviceClient, Message
from measure import CALLS, DEVICE, PAYLOAD, WARM_UP, measured, trusted

BATCH = 1000
client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
client.connect()
assert not any(client.send_messages([Message(PAYLOAD) for _ in range(WARM_UP)]))
batches = CALLS // BATCH
with measured(batches * BATCH, sent=WARM_UP + batches * BATCH):
    for _ in range(batches):
        assert not any(client.send_messages([Message(PAYLOAD) for _ in range(BATCH)]))
client.shutdown()
