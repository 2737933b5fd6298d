"""Connections that are taken over, lost, idle, and made again."""

from __future__ import annotations

from typing import Any

from any_client import done
from interop.stage import Stage


async def standard_ports(stage: Stage) -> Any:
    # Without a port in it, which the official package would not understand.
    return stage.connection_string.partition(";")[0]


async def takeover(stage: Stage) -> Any:
    first, second = stage.client(connection_retry=False), stage.client()
    await done(first.connect())
    await done(second.connect())
    await stage.becomes(first, connected=False)
    await done(second.send_message("from the second"))
    return {"first": first.connected, "telemetry": await stage.hub.telemetry(stage.device)}


async def idle(stage: Stage) -> Any:
    client = stage.client(keep_alive=2)
    await done(client.connect())
    # The hub lets a client be silent for one and a half keep-alives.
    changes = await stage.changes(client, count=2, seconds=5)
    return {"changes": changes, "connected": client.connected}


async def dropped(stage: Stage) -> Any:
    client = stage.client(connection_retry_interval=1)
    client.on_message_received = stage.arrive
    await stage.hub.drop(stage.device)
    await stage.hub.send_c2d_message(stage.device, "after the drop")
    received = (await stage.arrival()).data.decode()
    await stage.becomes(client, connected=True)
    await done(client.send_message("after the drop"))
    return {"received": received, "telemetry": await stage.hub.telemetry(stage.device)}


async def hub_restarted(stage: Stage) -> Any:
    client = stage.client(connection_retry_interval=1)
    client.on_message_received = stage.arrive
    await stage.hub.kill()
    await stage.becomes(client, connected=False)
    await stage.hub.restart()
    await stage.hub.send_c2d_message(stage.device, "from the new hub")
    await stage.becomes(client, connected=True)
    await done(client.send_message("to the new hub"))
    received = (await stage.arrival()).data.decode()
    return {"received": received, "telemetry": await stage.hub.telemetry(stage.device)}
