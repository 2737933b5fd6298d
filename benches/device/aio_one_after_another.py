"""Messages with the asyncio client, one after another."""

import asyncio

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient
from measure import CALLS, DEVICE, PAYLOAD, WARM_UP, measured, trusted


async def main() -> None:
    """Send them."""
    client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
    await client.connect()
    for _ in range(WARM_UP):
        await client.send_message(Message(PAYLOAD))
    with measured(sent=WARM_UP + CALLS):
        for _ in range(CALLS):
            await client.send_message(Message(PAYLOAD))
    await client.shutdown()


asyncio.run(main())
