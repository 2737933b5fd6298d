"""Messages with the asyncio client, AT_ONCE in an `asyncio.gather`, then the next so many."""

import asyncio

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient
from measure import AT_ONCE, CALLS, DEVICE, PAYLOAD, WARM_UP, WINDOW, measured, trusted


async def send(client: IoTHubDeviceClient, count: int) -> None:
    """So many messages."""
    while count > 0:
        await asyncio.gather(*(client.send_message(Message(PAYLOAD)) for _ in range(min(AT_ONCE, count))))
        count -= AT_ONCE


async def main() -> None:
    """Send them."""
    options = {"in_flight_window": WINDOW} if WINDOW else {}
    client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted(), **options)
    await client.connect()
    await send(client, WARM_UP)
    with measured(sent=WARM_UP + CALLS):
        await send(client, CALLS)
    await client.shutdown()


asyncio.run(main())
