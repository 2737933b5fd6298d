"""Many connected clients in one process that do nothing: what they take, and whether all stay connected.

A program: `python idle_run.py FILE`. FILE has a connection string in each line; the hub is elsewhere. Prints `ready`
when all are connected, waits for the end of standard input, and prints as JSON what it measured meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

import process_status
from azure.iot.device import aio

AT_ONCE = 50


def cpu_seconds() -> float:
    """Of this process until now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def connected(string: str) -> aio.IoTHubDeviceClient:
    client = aio.IoTHubDeviceClient.create_from_connection_string(string)
    await client.connect()
    return client


async def main(strings: list[str]) -> dict[str, Any]:
    """All of it."""
    clients = [await connected(strings[0])]
    before = process_status.resident_kilobytes()
    for first in range(1, len(strings), AT_ONCE):
        clients += await asyncio.gather(*map(connected, strings[first : first + AT_ONCE]))
    kilobytes = (process_status.resident_kilobytes() - before) / (len(strings) - 1)
    cpu = cpu_seconds()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    return {
        "cpu": cpu_seconds() - cpu,
        "kilobytes": kilobytes,
        "connected": sum(client.connected for client in clients),
        "reconnects": sum(client.statistics["reconnects"] for client in clients),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]).read_text().splitlines()))))
