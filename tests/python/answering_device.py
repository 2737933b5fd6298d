"""A device or module that answers every direct method with the name and payload it was called with."""

from __future__ import annotations

from typing import Any

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodRequest, MethodResponse
from ferrohub import LocalHub
from sorts_of_clients import DEVICE
from typing_extensions import Self

METHODS = "$iothub/methods/POST/#"


class Answering:
    """A context manager; when it is entered, methods can be called."""

    def __init__(self, hub: LocalHub, device_id: str = DEVICE, module_id: str | None = None) -> None:
        self.called_with: list[Any] | None = None
        self._hub, self._ids = hub, (device_id, module_id)
        self._client: IoTHubDeviceClient | IoTHubModuleClient
        if module_id is None:
            text = hub.device_connection_string(device_id)
            self._client = IoTHubDeviceClient.create_from_connection_string(text)
        else:
            text = hub.module_connection_string(device_id, module_id)
            self._client = IoTHubModuleClient.create_from_connection_string(text)

    def __enter__(self) -> Self:
        self._client.on_method_request_received = self._answer
        self._hub.wait_subscribed(*self._ids, METHODS)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.shutdown()

    def _answer(self, request: MethodRequest) -> None:
        self.called_with = [request.name, request.payload]
        response = MethodResponse.create_from_method_request(request, 200, self.called_with)
        self._client.send_method_response(response)
