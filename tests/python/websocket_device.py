"""A device that uses WebSockets, with any package that has the names of azure.iot.device: ours or Microsoft's.

`python websocket_device.py CONNECTION_STRING`: prints `ready` when it is connected and follows its twin, sends
the first patch that comes as telemetry, and prints the twin it has read.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

from azure.iot.device import IoTHubDeviceClient

if __name__ == "__main__":
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    client = IoTHubDeviceClient.create_from_connection_string(sys.argv[1], websockets=True)
    client.connect()
    client.on_twin_desired_properties_patch_received = patches.put
    client.patch_twin_reported_properties({"reported": 1})
    print("ready", flush=True)
    client.send_message(json.dumps(patches.get(timeout=30)))
    print(json.dumps(client.get_twin()), flush=True)
    client.shutdown()
