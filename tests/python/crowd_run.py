"""Many connected module clients in one process: what they take, and whether all stay connected.

A program: `python crowd_run.py sync|aio FILE SECONDS`. FILE has a connection string in each line; the hub is elsewhere.
Prints as JSON what it measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Callable

import process_status
from azure.iot.device import IoTHubModuleClient, aio

WARM_UP = 20
"""Clients that are not counted: they bring what all have in common."""
AT_ONCE = 50
PAUSE = 0.5
"""Seconds between two messages of a client."""


def ignore(_patch: object) -> None:
    """A handler, as programs have them."""


async def ignore_async(_patch: object) -> None:
    """The same for asyncio."""


def result(clients: list[Any], before: int, sent: int) -> dict[str, Any]:
    """What came of it."""
    threads = process_status.settled(process_status.threads, lambda found: len(found) <= 5)  # type: ignore[arg-type]
    return {
        "kilobytes": (process_status.resident_kilobytes() - before) / (len(clients) - WARM_UP),
        "threads": threads,
        "connected": sum(client.connected for client in clients),
        "reconnects": sum(client.statistics["reconnects"] for client in clients),
        "sent": sent,
        "acknowledged": sum(client.statistics["acknowledged"] for client in clients),
    }


def run_sync(strings: list[str], seconds: float) -> dict[str, Any]:
    """With the synchronous client."""

    def connect(string: str) -> IoTHubModuleClient:
        client = IoTHubModuleClient.create_from_connection_string(string)
        client.connect()
        client.on_twin_desired_properties_patch_received = ignore
        client.send_message("warm")
        return client

    clients = [connect(string) for string in strings[:WARM_UP]]
    before = process_status.resident_kilobytes()
    clients += [connect(string) for string in strings[WARM_UP:]]
    sent, end = len(clients), time.monotonic() + seconds
    while time.monotonic() < end:
        for client in clients:
            client.send_message("x" * 256)
        sent += len(clients)
        time.sleep(PAUSE)
    return result(clients, before, sent)


async def run_aio(strings: list[str], seconds: float) -> dict[str, Any]:
    """With the asyncio client."""

    async def connect(string: str) -> aio.IoTHubModuleClient:
        client = aio.IoTHubModuleClient.create_from_connection_string(string)
        await client.connect()
        client.on_twin_desired_properties_patch_received = ignore_async
        await client.send_message("warm")
        return client

    clients = [await connect(string) for string in strings[:WARM_UP]]
    before = process_status.resident_kilobytes()
    for first in range(WARM_UP, len(strings), AT_ONCE):
        clients += await asyncio.gather(*map(connect, strings[first : first + AT_ONCE]))
    sent, end = len(clients), time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.gather(*(client.submit("x" * 256) for client in clients))
        sent += len(clients)
        await asyncio.sleep(PAUSE)
    return result(clients, before, sent)


if __name__ == "__main__":
    sort, file, duration = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    lines = file.read_text().splitlines()
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "sync": lambda: run_sync(lines, duration),
        "aio": lambda: asyncio.run(run_aio(lines, duration)),
    }
    print(json.dumps(runs[sort]()))
