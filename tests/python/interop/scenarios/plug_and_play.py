"""IoT Plug and Play: a device that names its model, and configurations, as the back end and the device see them."""

from __future__ import annotations

from typing import Any

from any_client import done, elsewhere
from azure.iot.device import MethodResponse
from azure.iot.hub import DigitalTwinClient, IoTHubConfigurationManager
from azure.iot.hub.models import Configuration, ConfigurationContent
from interop.stage import Stage

MODEL = "dtmi:com:example:TemperatureController;1"
"""Product information that begins so is a model to the clients of both packages."""


async def digital_twin(stage: Stage) -> Any:
    client, back_end = stage.client(product_info=MODEL), DigitalTwinClient(stage.service)
    await done(client.get_twin())
    await done(client.patch_twin_reported_properties({"serial": "x", "heater": {"__t": "c", "max": 25.3}}))
    client.on_twin_desired_properties_patch_received = stage.arrive
    operation = {"op": "add", "path": "/heater/target", "value": 21.8}
    await elsewhere(back_end.update_digital_twin, stage.device, [operation])
    patch = await stage.arrival()
    acknowledged = {"value": 21.8, "ac": 200, "av": patch["$version"], "ad": "done"}
    await done(client.patch_twin_reported_properties({"heater": {"__t": "c", "target": acknowledged}}))
    document = await elsewhere(back_end.get_digital_twin, stage.device)
    heater = document["heater"]
    del heater["$metadata"]["target"]["lastUpdateTime"]
    return {
        "patch": patch,
        "model": document["$metadata"]["$model"],
        "serial": document["serial"],
        "heater": [heater["max"], heater["target"], heater["$metadata"]["target"]],
    }


async def commands(stage: Stage) -> Any:
    client, back_end = stage.client(product_info=MODEL), DigitalTwinClient(stage.service)

    async def respond(request: Any) -> None:
        payload = {"name": request.name, "payload": request.payload}
        await done(client.send_method_response(MethodResponse.create_from_method_request(request, 202, payload)))

    client.on_method_request_received = stage.handler(respond)
    await done(client.connect())
    return [
        await elsewhere(back_end.invoke_command, stage.device, "reboot", {"delay": 1.5}, 30, 30),
        await elsewhere(back_end.invoke_component_command, stage.device, "heater", "report", "since", 30, 30),
    ]


async def configuration(stage: Stage) -> Any:
    client, back_end = stage.client(), IoTHubConfigurationManager(stage.service)
    await done(client.get_twin())
    client.on_twin_desired_properties_patch_received = stage.arrive
    content = ConfigurationContent(device_content={"properties.desired.limits": {"low": 1}})
    new = Configuration(
        id="configuration",
        content=content,
        target_condition=f"deviceId = '{stage.device}' AND properties.reported.ready = true",
        priority=1,
    )
    await elsewhere(back_end.create_configuration, new)
    await done(client.patch_twin_reported_properties({"ready": True}))
    applied = await stage.arrival()
    counted = await elsewhere(back_end.get_configuration, new.id)
    await done(client.patch_twin_reported_properties({"ready": False}))
    removed = await stage.arrival()
    await elsewhere(back_end.delete_configuration, new.id)
    return {"applied": applied, "counted": counted.system_metrics.results, "removed": removed}
