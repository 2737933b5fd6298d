"""The four sorts of clients, each with the back end's side of it on a local hub."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from azure.iot.device import aio
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from ferrohub import LocalHub

SECONDS = 20
"""No test waits longer than this for anything."""
DEVICE, MODULE = "dev1", "mod1"


class Back:
    """The back end's side of the device and its module."""

    def __init__(self, hub: LocalHub) -> None:
        self.hub = hub
        self.registry = IoTHubRegistryManager(hub.connection_string)
        self.registry.create_device_with_sas(DEVICE, "", "", "enabled")
        self.registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        parts = dict(part.split("=", 1) for part in hub.connection_string.split(";"))
        self.host_name = parts["HostName"]

    def invoke(self, path: str, name: str, payload: Any) -> Any:
        """Call a direct method; its answer."""
        device, _, module = path.partition("/modules/")
        method = CloudToDeviceMethod(method_name=name, payload=payload, response_timeout_in_seconds=SECONDS)
        if module:
            answer = self.registry.invoke_device_module_method(device, module, method)
        else:
            answer = self.registry.invoke_device_method(device, method)
        return {"status": answer.status, "payload": answer.payload}


@dataclass
class Sort:
    """A sort of client: synchronous or asyncio, of the device or of the module."""

    sdk: ModuleType
    of_module: bool
    back: Back
    run: Callable[[Any], Any]
    """The outcome of a call: what it returns, or what the coroutine does that it returns."""

    @property
    def cls(self) -> Any:
        return self.sdk.IoTHubModuleClient if self.of_module else self.sdk.IoTHubDeviceClient

    @property
    def ids(self) -> list[str]:
        return [DEVICE, MODULE] if self.of_module else [DEVICE]

    @property
    def path(self) -> str:
        return f"{DEVICE}/modules/{MODULE}" if self.of_module else DEVICE

    @property
    def connection_string(self) -> str:
        hub = self.back.hub
        return hub.module_connection_string(DEVICE, MODULE) if self.of_module else hub.device_connection_string(DEVICE)

    @property
    def key(self) -> str:
        return self.connection_string.partition("SharedAccessKey=")[2]

    def desire(self, **properties: Any) -> None:
        """Change desired properties in the back end."""
        registry = self.back.registry
        update: Any = registry.update_module_twin if self.of_module else registry.update_twin
        update(*self.ids, Twin(properties=TwinProperties(desired=properties)), None)

    def reported(self) -> dict[str, Any]:
        """The reported properties as the back end sees them."""
        registry = self.back.registry
        twin = (registry.get_module_twin if self.of_module else registry.get_twin)(*self.ids)
        reported: dict[str, Any] = twin.properties.reported
        return reported

    def wait_subscribed(self, topic: str) -> None:
        """Wait until the client has subscribed."""
        self.back.hub.wait_subscribed(DEVICE, MODULE if self.of_module else None, topic, timeout=SECONDS)

    def send(self, body: str, properties: dict[str, str]) -> None:
        """Send a message to the device, or to the module's input `in 1`."""
        if self.of_module:
            self.back.hub.send_input_message(DEVICE, MODULE, "in 1", body, properties)
        else:
            self.back.hub.send_c2d_message(DEVICE, body, properties)

    def call_method(self, name: str) -> queue.Queue[Any]:
        """Call a direct method without waiting; its answer, or what the hub says instead, comes to the queue."""
        outcome: queue.Queue[Any] = queue.Queue()

        def call() -> None:
            try:
                outcome.put(self.back.invoke(self.path, name, None))
            except Exception as error:  # noqa: BLE001 - the device or the hub may be gone meanwhile
                outcome.put(error)

        threading.Thread(target=call, daemon=True).start()
        return outcome

    def received(self, receive: Callable[..., Any], *args: Any) -> Any:
        """What a deprecated receive call gives."""
        timeout = {} if self.sdk is aio else {"timeout": SECONDS}
        with pytest.warns(DeprecationWarning, match="is deprecated as of 2.3.0"):
            receiving = receive(*args, **timeout)
        return self.run(receiving)
