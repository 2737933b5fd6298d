"""Direct methods, received and answered by a handler of the synchronous client, from the first to the last."""

import threading

from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse
from measure import CALLS, DEVICE, measured, ready, trusted

first, last = threading.Event(), threading.Event()
answered: set[str] = set()


def answer(request: MethodRequest) -> None:
    """A handler."""
    first.set()
    client.send_method_response(MethodResponse.create_from_method_request(request, 200, request.payload))
    answered.add(request.request_id)
    if len(answered) == CALLS:
        last.set()


client = IoTHubDeviceClient.create_from_connection_string(DEVICE, server_verification_cert=trusted())
client.connect()
client.on_method_request_received = answer
ready()
assert first.wait(60)
with measured():
    assert last.wait(120)
client.shutdown()
