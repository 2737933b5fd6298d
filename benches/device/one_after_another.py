"""Messages with the synchronous client, one after another."""

from azure.iot.device import IoTHubDeviceClient, Message
from measure import CALLS, DEVICE, PAYLOAD, WARM_UP, measured, trusted

client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
client.connect()
for _ in range(WARM_UP):
    client.send_message(Message(PAYLOAD))
with measured(sent=WARM_UP + CALLS):
    for _ in range(CALLS):
        client.send_message(Message(PAYLOAD))
client.shutdown()
