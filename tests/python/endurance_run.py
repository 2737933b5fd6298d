"""Connects again and again, then sends a lot: what of it stays behind in the process.

A program: `python endurance_run.py sync|aio CONNECTION_STRING CONNECTS SENDS`; the hub is elsewhere. Prints as JSON
what the process held when everything had been done for a while, and at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import process_status
from azure.iot.device import IoTHubDeviceClient, aio
from ferrohub.device import dispatcher

BATCH = 1000
WARM_UP = 20
"""A part of the work that may grow what grows once: one in so many."""


def held(tasks: int) -> dict[str, Any]:
    """What the process holds."""
    return {
        "kilobytes": process_status.resident_kilobytes(),
        "blocks": process_status.python_blocks(),
        "threads": process_status.threads(),
        "descriptors": process_status.descriptors(),
        "tasks": tasks,
    }


def work_sync(string: str, connects: int, sends: int) -> None:
    """A client for each connect, then one for the messages."""
    for _ in range(connects):
        with IoTHubDeviceClient.create_from_connection_string(string) as client:
            client.connect()
    with IoTHubDeviceClient.create_from_connection_string(string) as client:
        for _ in range(sends // BATCH):
            assert not any(client.send_messages(["x" * 100] * BATCH))


def run_sync(string: str, connects: int, sends: int) -> list[dict[str, Any]]:
    """With the synchronous client."""
    work_sync(string, connects // WARM_UP, sends // WARM_UP)
    time.sleep(process_status.STEADY)
    first = held(0)
    work_sync(string, connects, sends)
    time.sleep(process_status.STEADY)
    return [first, held(0)]


async def work_aio(string: str, connects: int, sends: int) -> None:
    """The same with asyncio."""
    for _ in range(connects):
        async with aio.IoTHubDeviceClient.create_from_connection_string(string) as client:
            await client.connect()
    async with aio.IoTHubDeviceClient.create_from_connection_string(string) as client:
        for _ in range(sends // BATCH):
            assert not any(await client.send_messages(["x" * 100] * BATCH))


async def run_aio(string: str, connects: int, sends: int) -> list[dict[str, Any]]:
    """With the asyncio client."""
    await work_aio(string, connects // WARM_UP, sends // WARM_UP)
    await asyncio.sleep(process_status.STEADY)
    first = held(len(asyncio.all_tasks()))
    await work_aio(string, connects, sends)
    await asyncio.sleep(process_status.STEADY)
    return [first, held(len(asyncio.all_tasks()))]


if __name__ == "__main__":
    dispatcher.IDLE_SECONDS = 0.1  # threads that were kept for a while don't count
    sort, connection_string = sys.argv[1:3]
    numbers = int(sys.argv[3]), int(sys.argv[4])
    if sort == "sync":
        outcome = run_sync(connection_string, *numbers)
    else:
        outcome = asyncio.run(run_aio(connection_string, *numbers))
    print(json.dumps(outcome))
