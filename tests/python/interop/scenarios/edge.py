"""A module on an IoT Edge device, which its runtime signs for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from any_client import done
from azure.iot.device import MethodResponse
from interop.stage import MODULE, Stage, raised


async def edge_over_http(stage: Stage) -> Any:
    return await _on_edge(stage, None)


async def edge_over_a_socket(stage: Stage) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return await _on_edge(stage, str(Path(folder) / "workload.sock"))


async def method_called_on_edge(stage: Stage) -> Any:
    device = stage.client()

    async def respond(request: Any) -> None:
        payload = {"name": request.name, "payload": request.payload}
        await done(device.send_method_response(MethodResponse.create_from_method_request(request, 201, payload)))

    device.on_method_request_received = stage.handler(respond)
    client = await _edge_client(stage, None)
    return await done(client.invoke_method({"methodName": "reboot", "payload": [1]}, stage.device))


async def errors_of_methods_called_on_edge(stage: Stage) -> Any:
    module, client = stage.module_client(), await _edge_client(stage, None)
    reboot = {"methodName": "reboot"}
    return await raised(
        {
            "no name": lambda: client.invoke_method({"payload": 1}, stage.device),
            "device that is not connected": lambda: client.invoke_method(reboot, stage.device),
            "module that is not there": lambda: client.invoke_method(reboot, stage.device, "nobody"),
            "payload that is no JSON": lambda: client.invoke_method({**reboot, "payload": b"x"}, stage.device),
            "elsewhere than on IoT Edge": lambda: module.invoke_method(reboot, stage.device),
        }
    )


async def _on_edge(stage: Stage, path: str | None) -> Any:
    client = await _edge_client(stage, path)
    await done(client.send_message("signed by the runtime"))
    twin = await done(client.get_twin())
    return {"telemetry": await stage.hub.telemetry(stage.device), "desired": twin["desired"]}


async def _edge_client(stage: Stage, path: str | None) -> Any:
    environment = await stage.hub.be_edge(stage.device, MODULE, path)
    os.environ.update(environment)
    try:
        return stage.edge_client()
    finally:
        for name in environment:
            del os.environ[name]
