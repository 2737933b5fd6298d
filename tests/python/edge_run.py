"""Run `edge_module.py` with some Python against a local hub on standard ports, which official packages need.

A program, to be run in a network of its own: `python edge_run.py MODULE_PYTHON FOLDER`; the socket is made in the
folder. Prints as JSON who sent what.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, run


def main(module_python: str, folder: Path) -> None:
    program = Path(__file__).parent / "edge_module.py"
    with LocalHub(standard_ports=True) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        registry.create_device_with_sas(DEVICE, "", "", "enabled")
        registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        for name, path in (("unix", folder / "workload.sock"), ("http", None)):
            with hub.edge_workload(DEVICE, MODULE, path) as environment:
                ran = run(module_python, program, name, env=environment, timeout=60)
                assert ran.code == 0, ran.err
        sent = {message.body.decode(): [message.device_id, message.module_id] for message in hub.telemetry()}
    print(json.dumps(sent))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
