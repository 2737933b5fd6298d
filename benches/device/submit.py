"""Messages with `submit`, at most AT_ONCE of them without an answer."""

import asyncio
from collections import deque

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient
from measure import AT_ONCE, CALLS, DEVICE, PAYLOAD, WARM_UP, measured, trusted


async def send(client: IoTHubDeviceClient, count: int) -> None:
    """So many messages."""
    sent: deque[asyncio.Future[None]] = deque()
    for _ in range(count):
        if len(sent) == AT_ONCE:
            await sent.popleft()
        sent.append(client.submit(Message(PAYLOAD)))
    await asyncio.gather(*sent)


async def main() -> None:
    """Send them."""
    client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
    await client.connect()
    await send(client, WARM_UP)
    with measured(sent=WARM_UP + CALLS):
        await send(client, CALLS)
    await client.shutdown()


asyncio.run(main())
