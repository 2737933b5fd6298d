"""Run by the Python that has Microsoft's packages: a device and a module that print messages, and a back end.

Arguments: the connection strings of device, module and service, and the CA's file. Prints a JSON line for each
message, one when it is ready, and one with what came of two direct methods. Ends with its input.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodRequest, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

PRINTING = threading.Lock()


def tell(**values: object) -> None:
    # Handlers run on threads of their own.
    with PRINTING:
        print(json.dumps(values), flush=True)


def call(service_string: str, device_id: str, name: str, payload: object) -> list[object]:
    registry: Any = IoTHubRegistryManager(service_string)
    method = CloudToDeviceMethod(method_name=name, payload=payload, response_timeout_in_seconds=30)
    result = registry.invoke_device_method(device_id, method)
    return [result.status, result.payload]


def main(device_string: str, module_string: str, service_string: str, ca_file: str) -> None:
    ca = Path(ca_file).read_text("utf-8")
    device = IoTHubDeviceClient.create_from_connection_string(device_string, server_verification_cert=ca)
    module = IoTHubModuleClient.create_from_connection_string(module_string, server_verification_cert=ca)

    def respond(request: MethodRequest) -> None:
        if not request.payload:
            response = MethodResponse.create_from_method_request(request, -3)
        else:
            payload = {"name": request.name, "payload": request.payload}
            response = MethodResponse.create_from_method_request(request, 200, payload)
        device.send_method_response(response)

    def receive(message: Message) -> None:
        tell(
            data=message.data.decode(),
            custom_properties=message.custom_properties,
            message_id=message.message_id,
            content_type=message.content_type,
            ack=message.ack,
        )

    def receive_input(message: Message) -> None:
        tell(
            input_name=message.input_name,
            data=message.data.decode(),
            custom_properties=message.custom_properties,
        )

    device.on_method_request_received = respond
    device.on_message_received = receive
    module.on_message_received = receive_input
    tell(ready=True)
    device_id = device_string.partition("DeviceId=")[2].partition(";")[0]
    tell(
        method=call(service_string, device_id, "part*get_max", {"a": [1, None]}),
        empty=call(service_string, device_id, "empty", None),
    )
    sys.stdin.read()
    device.shutdown()
    module.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
