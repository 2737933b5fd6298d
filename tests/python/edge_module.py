"""A module on IoT Edge, with any package that has the names of azure.iot.device: ours or Microsoft's.

`python edge_module.py NAME`, in the environment of IoT Edge: sends its name with a synchronous and an asyncio client,
each after having read its twin.
"""

from __future__ import annotations

import asyncio
import sys

from azure.iot.device import IoTHubModuleClient, aio


async def send(message: str) -> None:
    """As an asyncio module does."""
    client = aio.IoTHubModuleClient.create_from_edge_environment()
    await client.connect()
    assert (await client.get_twin())["desired"]["$version"] == 1
    await client.send_message(message)
    await client.shutdown()


if __name__ == "__main__":
    client = IoTHubModuleClient.create_from_edge_environment(websockets=True)
    client.connect()
    assert client.get_twin()["desired"]["$version"] == 1
    client.send_message(f"{sys.argv[1]}, synchronous")
    client.shutdown()
    asyncio.run(send(f"{sys.argv[1]}, asyncio"))
