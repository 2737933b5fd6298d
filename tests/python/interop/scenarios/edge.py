"""A module on an IoT Edge device, which its runtime signs for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from any_client import done
from interop.stage import MODULE, Stage


async def edge_over_http(stage: Stage) -> Any:
    return await _on_edge(stage, None)


async def edge_over_a_socket(stage: Stage) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return await _on_edge(stage, str(Path(folder) / "workload.sock"))


async def _on_edge(stage: Stage, path: str | None) -> Any:
    environment = await stage.hub.be_edge(stage.device, MODULE, path)
    os.environ.update(environment)
    try:
        client = stage.edge_client()
    finally:
        for name in environment:
            del os.environ[name]
    await done(client.send_message("signed by the runtime"))
    twin = await done(client.get_twin())
    return {"telemetry": await stage.hub.telemetry(stage.device), "desired": twin["desired"]}
