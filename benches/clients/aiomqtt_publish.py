"""aiomqtt: AT_ONCE publishes in an `asyncio.gather`, then the next so many."""

import asyncio

from aiomqtt import Client, TLSParameters
from measure import AT_ONCE, CA_FILE, CALLS, HOST, PAYLOAD, PORT, TOPIC, WARM_UP, measured


async def publish(client: Client, count: int) -> None:
    """So many messages."""
    while count > 0:
        await asyncio.gather(*(client.publish(TOPIC, PAYLOAD, qos=1) for _ in range(min(AT_ONCE, count))))
        count -= AT_ONCE


async def main() -> None:
    """Publish them."""
    async with Client(
        HOST,
        PORT,
        identifier="bench-aiomqtt",
        tls_params=TLSParameters(ca_certs=CA_FILE),
        max_inflight_messages=AT_ONCE,
        max_concurrent_outgoing_calls=AT_ONCE,
    ) as client:
        # Else it writes a warning for each call beyond ten.
        client.pending_calls_threshold = AT_ONCE
        await publish(client, WARM_UP)
        with measured(sent=WARM_UP + CALLS):
            await publish(client, CALLS)


asyncio.run(main())
