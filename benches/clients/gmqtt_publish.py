"""gmqtt: publishes without waiting, lets the event loop run every AT_ONCE messages, and waits for all answers."""

import asyncio
import ssl

from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv311
from gmqtt.storage import PersistentStorage
from measure import AT_ONCE, CA_FILE, CALLS, HOST, PAYLOAD, PORT, TOPIC, WARM_UP, measured


async def main() -> None:
    """Publish them."""
    unanswered = PersistentStorage()
    client = Client("bench-gmqtt", persistent_storage=unanswered)

    async def publish(count: int) -> None:
        for number in range(count):
            client.publish(TOPIC, PAYLOAD, qos=1)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        await unanswered.wait_empty()

    await client.connect(HOST, PORT, ssl=ssl.create_default_context(cafile=CA_FILE), version=MQTTv311)
    await publish(WARM_UP)
    with measured(sent=WARM_UP + CALLS):
        await publish(CALLS)
    await client.disconnect()


asyncio.run(main())
