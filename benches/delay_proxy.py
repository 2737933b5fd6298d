"""A way to a broker that is longer: every byte comes so many milliseconds later, as many as there are at a time.

python delay_proxy.py FROM_ADDRESS TO_ADDRESS PORT MILLISECONDS
"""

from __future__ import annotations

import asyncio
import sys

PIECE = 256 * 1024


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """One direction. What has come waits in a queue until its time, so a delay is no limit of the rate."""
    clock = asyncio.get_running_loop().time
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        piece = b"-"
        while piece:
            due, piece = await on_the_way.get()
            await asyncio.sleep(due - clock())
            writer.write(piece)
            await writer.drain()
        writer.close()

    delivering = asyncio.ensure_future(deliver())
    piece = b"-"
    while piece:
        piece = await reader.read(PIECE)
        on_the_way.put_nowait((clock() + delay, piece))
    await delivering


async def main(here: str, there: str, port: int, delay: float) -> None:
    """Serve until the process is ended."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(there, port)
        await asyncio.gather(carry(reader, far_writer, delay), carry(far_reader, writer, delay), return_exceptions=True)

    server = await asyncio.start_server(connected, here, port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) / 1000))
