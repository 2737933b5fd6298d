"""Messages in both directions."""

from __future__ import annotations

from typing import Any

from any_client import done
from azure.iot.device import Message
from interop.stage import MODULE, Stage, told

PROPERTIES = {"k y": "v=1&2", "\u00e9": "\u00fc", "$.ct": "text/plain", "$.mid": "m 1", "iothub-ack": "none"}


async def telemetry(stage: Stage) -> Any:
    client = stage.client()
    message = Message("\u00e9", "m 1", "utf-8", "application/json")
    message.custom_properties = {"b key": "v 1/%&=", "a": "2"}
    message.correlation_id = "c"
    for sent in (message, "text", 1.5, None):
        await done(client.send_message(sent))
    return await stage.hub.telemetry(stage.device)


async def outputs(stage: Stage) -> Any:
    client = stage.module_client()
    message = Message("to an output")
    message.custom_properties = {"a": "b"}
    await done(client.send_message_to_output(message, "out 1/x"))
    return await stage.hub.telemetry(stage.device)


async def cloud_to_device(stage: Stage) -> Any:
    await stage.hub.send_c2d_message(stage.device, "before")
    client = stage.client()
    client.on_message_received = stage.arrive
    received = [told(await stage.arrival())]
    await stage.hub.send_c2d_message(stage.device, "\u00e9", PROPERTIES)
    received.append(told(await stage.arrival()))
    # What has been received is acknowledged before the connection ends.
    await done(client.disconnect())
    return {"received": received, "waiting": stage.registry.get_device(stage.device).cloud_to_device_message_count}


async def cloud_to_device_while_away(stage: Stage) -> Any:
    client = stage.client()
    client.on_message_received = stage.arrive
    await done(client.disconnect())
    for number in range(3):
        await stage.hub.send_c2d_message(stage.device, str(number))
    await done(client.connect())
    return sorted([(await stage.arrival()).data.decode() for _ in range(3)])


async def inputs(stage: Stage) -> Any:
    client = stage.module_client()
    client.on_message_received = stage.arrive
    await stage.hub.send_input_message(stage.device, MODULE, "in 1", "to the input", {"a": "b"})
    return told(await stage.arrival())


async def receive_calls(stage: Stage) -> Any:
    client = stage.client()
    await stage.hub.send_c2d_message(stage.device, "waits")
    received = [(await done(client.receive_message())).data.decode()]
    await stage.hub.send_c2d_message(stage.device, "comes")
    received.append((await done(client.receive_message())).data.decode())
    return received
