"""How long an awaited message takes while 100 other clients of the program send five a second each."""

import asyncio
import time
from collections.abc import Iterator
from itertools import count

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubDeviceClient
from measure import CALLS, DEVICE, PAYLOAD, device, device_id, percentile, tell, trusted

OTHERS = 100
PAUSE = 0.2
"""Seconds between two messages of one of the others: 500 a second in all."""
sent: Iterator[int] = count(1)


async def send(client: IoTHubDeviceClient) -> float:
    """One message; how long it took."""
    began = time.perf_counter()
    await client.send_message(Message(PAYLOAD))
    next(sent)
    return time.perf_counter() - began


async def send_now_and_then(client: IoTHubDeviceClient, phase: float) -> None:
    """What the others do, until they are cancelled."""
    await asyncio.sleep(phase)
    while True:
        await asyncio.shield(asyncio.ensure_future(send(client)))
        await asyncio.sleep(PAUSE)


async def main() -> None:
    """Measure."""
    trust = trusted()
    texts = [DEVICE, *(device(device_id(number)) for number in range(1, OTHERS + 1))]
    clients = [IoTHubDeviceClient.create_from_connection_string(text, server_verification_cert=trust) for text in texts]
    await asyncio.gather(*(client.connect() for client in clients))
    others = [
        asyncio.ensure_future(send_now_and_then(client, PAUSE * number / OTHERS))
        for number, client in enumerate(clients[1:])
    ]
    await asyncio.sleep(PAUSE)
    taken = [await send(clients[0]) for _ in range(CALLS)]
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(PAUSE)  # what was cancelled is on its way
    await asyncio.gather(*(client.shutdown() for client in clients))
    tell(calls=CALLS, seconds=sum(taken), cpu=0, memory=0, p99=percentile(taken, 99), sent=next(sent) - 1)


asyncio.run(main())
