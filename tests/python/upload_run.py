"""Run `upload_device.py` with some Python against a local hub on standard ports, which official packages need.

A program, to be run in a network of its own: `python upload_run.py DEVICE_PYTHON`. Prints as JSON what the device
printed and what the hub saw.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, run

if __name__ == "__main__":
    with LocalHub(standard_ports=True) as hub:
        registry = IoTHubRegistryManager.from_connection_string(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        program = Path(__file__).parent / "upload_device.py"
        trust = {"SSL_CERT_FILE": hub.ca_file, "REQUESTS_CA_BUNDLE": hub.ca_file}
        ended = run(sys.argv[1], program, hub.device_connection_string(DEVICE), env=trust, timeout=60)
        seen = {
            "code": ended.code,
            "out": ended.out,
            "errors": ended.err,
            "blobs": {name: hashlib.sha256(hub.blob(name)).hexdigest() for name in hub.blobs()},
            "notifications": [told[:6] for told in hub.file_notifications()],
        }
    print(json.dumps(seen))
