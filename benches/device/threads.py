"""Messages with one synchronous client, in 20 threads, each one after another."""

from concurrent.futures import ThreadPoolExecutor

from azure.iot.device import IoTHubDeviceClient, Message
from measure import CALLS, DEVICE, PAYLOAD, WARM_UP, measured, trusted

THREADS = 20
client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())


def send(count: int) -> None:
    """So many messages."""
    for _ in range(count):
        client.send_message(Message(PAYLOAD))


client.connect()
each, warm = CALLS // THREADS, WARM_UP // THREADS
with ThreadPoolExecutor(THREADS) as pool:
    list(pool.map(send, [warm] * THREADS))
    with measured(each * THREADS, sent=(warm + each) * THREADS):
        list(pool.map(send, [each] * THREADS))
client.shutdown()
