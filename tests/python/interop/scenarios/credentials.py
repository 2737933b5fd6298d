"""Keys and tokens that are right, wrong, renewed, or have expired."""

from __future__ import annotations

from typing import Any

from any_client import done, elsewhere
from interop.stage import OURS, Stage, error_of

SHORT = 7 if OURS else 123
"""Seconds that a token lives so that it is renewed after a few: the official package renews it 120 s before its end."""


async def given_token(stage: Stage) -> Any:
    client = stage.client_from_token(stage.token(3600))
    await done(client.connect())
    await done(client.update_sastoken(stage.token(7200)))
    await done(client.send_message("with the second token"))
    return {"connected": client.connected, "telemetry": await stage.hub.telemetry(stage.device)}


async def token_that_expires(stage: Stage) -> Any:
    client = stage.client_from_token(stage.token(600), connection_retry=False)
    await done(client.connect())
    await stage.hub.move_clock(1200)
    try:
        await stage.becomes(client, connected=False)
        late = await error_of(client.connect)
        refreshed = await error_of(lambda: client.update_sastoken(stage.token(3600)))
        if refreshed and not OURS:
            # It may take the late end of the attempt that was refused for that of the new one.
            await done(client.update_sastoken(stage.token(7200)))
    finally:
        await stage.hub.move_clock(-1200)
    return {"late": late, "connected": client.connected}


async def token_that_is_renewed(stage: Stage) -> Any:
    client = stage.client(sastoken_ttl=SHORT)
    await done(client.connect())
    # Connected, and then disconnected and connected with the new token.
    changes = await stage.changes(client, count=3)
    await stage.becomes(client, connected=True)
    await done(client.send_message("with the new token"))
    return {"changes": changes, "telemetry": await stage.hub.telemetry(stage.device)}


async def wrong_key(stage: Stage) -> Any:
    text = stage.connection_string.partition("SharedAccessKey=")[0]
    return await error_of(stage.client(f"{text}SharedAccessKey=Zm9vYmFy").connect)


async def unknown_device(stage: Stage) -> Any:
    client = stage.client()
    await elsewhere(stage.registry.delete_device, stage.device)
    return await error_of(client.connect)


async def disabled_device(stage: Stage) -> Any:
    client = stage.client(connection_retry=False)
    await done(client.connect())
    await _disable(stage)
    await stage.becomes(client, connected=False)
    return await error_of(client.connect)


async def _disable(stage: Stage) -> None:
    device = await elsewhere(stage.registry.get_device, stage.device)
    keys = device.authentication.symmetric_key
    await elsewhere(
        stage.registry.update_device_with_sas,
        *(stage.device, device.etag, keys.primary_key, keys.secondary_key, "disabled"),
    )
