"""mqttium: `publish_many`, with at most AT_ONCE messages in flight."""

import asyncio
import ssl

from measure import AT_ONCE, CA_FILE, CALLS, HOST, PAYLOAD, PORT, TOPIC, WARM_UP, measured
from mqttium.api import AsyncClient, PublishMessage


async def main() -> None:
    """Publish them."""
    client = AsyncClient("bench-mqttium", max_outbound_inflight=AT_ONCE)

    async def publish(count: int) -> None:
        batch = await client.publish_many(PublishMessage(TOPIC, PAYLOAD, qos=1) for _ in range(count))
        await batch.wait()

    await client.connect(HOST, PORT, ssl=ssl.create_default_context(cafile=CA_FILE))
    await publish(WARM_UP)
    with measured(sent=WARM_UP + CALLS):
        await publish(CALLS)
    await client.disconnect()


asyncio.run(main())
