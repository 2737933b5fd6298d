"""Devices that connect, receive what waits for them, and disconnect, again and again.

A program: `python c2d_devices.py FILE SEED`, to be killed. FILE has a connection string in each line. Prints a line
when all have been connected once, and then the body of each message that arrives.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any, Callable

from azure.iot.device import aio

CONNECTED = (0.05, 0.5)
AWAY = (0.0, 0.3)
"""Seconds, from and to."""


def say(line: str) -> None:
    """In one write, so that no kill and no other thread tears it."""
    os.write(1, f"{line}\n".encode())


async def come_and_go(string: str, chance: random.Random, ready: Callable[[], None]) -> None:
    """One device."""

    def arrived(message: Any) -> None:
        say(message.data.decode())

    client = aio.IoTHubDeviceClient.create_from_connection_string(string)
    client.on_message_received = arrived
    while True:
        await client.connect()
        ready()
        await asyncio.sleep(chance.uniform(*CONNECTED))
        await client.disconnect()
        await asyncio.sleep(chance.uniform(*AWAY))


async def main(strings: list[str], seed: str) -> None:
    """All of them."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    left = len(strings)

    def ready() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            say("ready")

    await asyncio.gather(*(come_and_go(string, chance, ready) for string in strings))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text().split(), sys.argv[2]))
