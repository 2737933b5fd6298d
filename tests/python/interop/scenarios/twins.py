"""Twins of devices and modules."""

from __future__ import annotations

from typing import Any

from any_client import done, elsewhere
from azure.iot.hub.models import Twin, TwinProperties
from interop.stage import MODULE, Stage, error_of


async def _desire(stage: Stage, **properties: Any) -> None:
    twin = Twin(properties=TwinProperties(desired=properties))
    await elsewhere(stage.registry.update_twin, stage.device, twin, "*")


async def reported_properties(stage: Stage) -> Any:
    client = stage.client()
    for patch in ({"a": 1, "gone": "\u00e9"}, {"gone": None, "nested": {"list": [1, 2.5]}}):
        await done(client.patch_twin_reported_properties(patch))
    back_end = (await elsewhere(stage.registry.get_twin, stage.device)).properties.reported
    return {
        "client": (await done(client.get_twin()))["reported"],
        "back end": {name: value for name, value in back_end.items() if name != "$metadata"},
    }


async def reported_properties_that_are_refused(stage: Stage) -> Any:
    client = stage.client()
    return await error_of(lambda: client.patch_twin_reported_properties({"a": "x" * 50_000}))


async def desired_properties(stage: Stage) -> Any:
    client = stage.client()
    await done(client.get_twin())
    client.on_twin_desired_properties_patch_received = stage.arrive
    patches = []
    for value in ({"a": 1}, {"b": {"c": "\u00e9"}}, None):
        await _desire(stage, value=value)
        patches.append(await stage.arrival())
    return {"patches": patches, "twin": (await done(client.get_twin()))["desired"]}


async def desired_properties_changed_while_away(stage: Stage) -> Any:
    client = stage.client()
    await done(client.get_twin())
    client.on_twin_desired_properties_patch_received = stage.arrive
    await done(client.disconnect())
    await _desire(stage, a=1)
    await _desire(stage, b=2)
    await done(client.connect())
    return await stage.arrival()


async def module_twin(stage: Stage) -> Any:
    client = stage.module_client()
    await done(client.get_twin())
    client.on_twin_desired_properties_patch_received = stage.arrive
    twin = Twin(properties=TwinProperties(desired={"a": 1}))
    await elsewhere(stage.registry.update_module_twin, stage.device, MODULE, twin, "*")
    patch = await stage.arrival()
    await done(client.patch_twin_reported_properties({"seen": patch["a"]}))
    module = await elsewhere(stage.registry.get_module_twin, stage.device, MODULE)
    return {"patch": patch, "seen": module.properties.reported["seen"]}
