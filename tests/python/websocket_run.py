"""Run `websocket_device.py` with some Python against a local hub on standard ports, which official packages need.

A program, to be run in a network of its own: `python websocket_run.py DEVICE_PYTHON`. Prints as JSON what the device
printed and what the hub saw.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties
from ferrohub import LocalHub
from support import DEVICE, PATCH_TOPIC, Program

if __name__ == "__main__":
    with LocalHub(standard_ports=True) as hub:
        registry = IoTHubRegistryManager.from_connection_string(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        program = Path(__file__).parent / "websocket_device.py"
        trust = {} if sys.argv[1] == sys.executable else {"SSL_CERT_FILE": hub.ca_file}
        with Program(sys.argv[1], program, hub.device_connection_string(DEVICE), env=trust) as device:
            device.wait_for("^ready$")
            hub.wait_subscribed(DEVICE, None, PATCH_TOPIC)
            registry.update_twin(DEVICE, Twin(properties=TwinProperties(desired={"interval": 5})), "*")
            ended = device.finish()
        seen = {
            "connection_string": hub.device_connection_string(DEVICE),
            "code": ended.code,
            "errors": ended.err,
            "twin": json.loads(ended.out.splitlines()[-1]),
            "telemetry": [json.loads(message.body) for message in hub.telemetry()],
        }
    print(json.dumps(seen))
