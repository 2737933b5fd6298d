"""Run in a network of its own: a hub on the standard ports, and a program of Microsoft's packages.

Argument: the Python that has Microsoft's packages. Prints, as JSON, what came of everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE


def main(official: str) -> None:
    with LocalHub(standard_ports=True) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        hub.send_c2d_message(DEVICE, "before")
        strings = (hub.device_connection_string(DEVICE), hub.module_connection_string(DEVICE, MODULE))
        program = Path(__file__).parent / "official_device.py"
        command = [official, str(program), *strings, hub.connection_string, hub.ca_file]
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": hub.ca_file}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as device:
            assert device.stdin
            assert device.stdout
            lines = map(json.loads, device.stdout)
            # Its message may come before it says that it is ready.
            early = [next(lines), next(lines)]
            told: dict[str, Any] = {"messages": [line for line in early if "ready" not in line]}
            told.update(next(lines))
            # One after the other: its handlers run on threads, in any order.
            hub.send_c2d_message(DEVICE, "text")
            told["messages"].append(next(lines))
            properties = {"k y": "v=1&2", "$.ct": "text/plain", "$.mid": "m 1", "iothub-ack": "none"}
            hub.send_c2d_message(DEVICE, "\u00e9", properties)
            told["messages"].append(next(lines))
            hub.send_input_message(DEVICE, MODULE, "in 1", "to the input", {"a": "b"})
            told["inputs"] = [next(lines)]
            device.stdin.close()
            device.wait(30)
        told["waiting"] = registry.get_device(DEVICE).cloud_to_device_message_count
        print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
