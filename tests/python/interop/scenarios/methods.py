"""Direct methods."""

from __future__ import annotations

from typing import Any, Callable

from any_client import done, elsewhere
from azure.iot.device import MethodResponse
from azure.iot.hub.models import CloudToDeviceMethod
from interop.stage import MODULE, Stage


def _answering(stage: Stage, client: Any) -> Callable[[Any], Any]:
    async def respond(request: Any) -> None:
        payload = {"name": request.name, "payload": request.payload} if request.payload else None
        status = 200 if request.payload else -3
        await done(client.send_method_response(MethodResponse.create_from_method_request(request, status, payload)))

    return stage.handler(respond)


async def methods(stage: Stage) -> Any:
    client = stage.client()
    client.on_method_request_received = _answering(stage, client)
    results = []
    for name, payload in (("part*get_max", {"a": [1, None]}), ("empty", None), ("get%20max", "\u00e9")):
        method = CloudToDeviceMethod(method_name=name, payload=payload, response_timeout_in_seconds=30)
        results.append(await elsewhere(stage.registry.invoke_device_method, stage.device, method))
    return [[result.status, result.payload] for result in results]


async def methods_of_a_module(stage: Stage) -> Any:
    client = stage.module_client()
    client.on_method_request_received = _answering(stage, client)
    method = CloudToDeviceMethod(method_name="reboot", payload=[1], response_timeout_in_seconds=30)
    result = await elsewhere(stage.registry.invoke_device_module_method, stage.device, MODULE, method)
    return [result.status, result.payload]
