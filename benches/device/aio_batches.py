"""Messages with asyncio's `send_messages`, a thousand in a call."""

import asyncio

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient
from measure import CALLS, DEVICE, PAYLOAD, WARM_UP, measured, trusted

BATCH = 1000


async def main() -> None:
    """Send them."""
    client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
    await client.connect()
    assert not any(await client.send_messages([Message(PAYLOAD) for _ in range(WARM_UP)]))
    batches = CALLS // BATCH
    with measured(batches * BATCH, sent=WARM_UP + batches * BATCH):
        for _ in range(batches):
            assert not any(await client.send_messages([Message(PAYLOAD) for _ in range(BATCH)]))
    await client.shutdown()


asyncio.run(main())
