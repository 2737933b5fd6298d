"""A local hub on the standard ports, a package that sends messages to devices, and the device that receives them.

A program, to be run by `own_network`: `python c2d_run.py PYTHON WAY`. Prints as JSON what the sender says of each
message, and what the devices got.
"""

from __future__ import annotations

import json
import queue
import sys
from pathlib import Path
from typing import Any

from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from c2d_program import SPECIAL
from ferrohub import LocalHub
from support import run

PATIENCE = 60
EXPECTED = {"d": 7, SPECIAL: 1}


def seen(message: Any) -> list[Any]:
    """What a device sees of a message."""
    names = ["message_id", "correlation_id", "user_id", "content_type", "content_encoding", "ack"]
    system = {name: getattr(message, name) for name in names if getattr(message, name) is not None}
    expires = message.expiry_time_utc is not None
    body = message.data.decode("latin-1")
    return [system, expires, message.custom_properties, body if len(body) < 100 else len(body)]


def main(python: str, way: str) -> None:
    """Listen as the devices, then have the sender send."""
    with LocalHub(process=True, standard_ports=True) as hub:
        registry = IoTHubRegistryManager(hub.connection_string)
        arrived: queue.Queue[tuple[str, Any]] = queue.Queue()
        clients = []
        for device in ("d", SPECIAL, "full", "idle"):
            registry.create_device_with_sas(device, "", "", "enabled")
            if device in EXPECTED:
                client = IoTHubDeviceClient.create_from_connection_string(hub.device_connection_string(device))
                client.on_message_received = lambda message, device=device: arrived.put((device, message))
                client.connect()
                clients.append(client)
        registry.create_device_with_sas("d:1!$'", "", "", "enabled")
        for device in EXPECTED:
            hub.wait_subscribed(device, None, f"devices/{device}/messages/devicebound/#", PATIENCE)
        service = hub.connection_string.replace(f":{hub.port}", "")
        program = Path(__file__).parent / "c2d_program.py"
        ran = run(python, program, service, way, env={"SSL_CERT_FILE": hub.ca_file}, timeout=PATIENCE)
        assert ran.code == 0, ran.err
        got: dict[str, list[Any]] = {device: [] for device in EXPECTED}
        for _ in range(sum(EXPECTED.values())):
            device, message = arrived.get(timeout=PATIENCE)
            got[device].append(seen(message))
        for client in clients:
            client.shutdown()
        sent = dict(json.loads(line) for line in ran.out.splitlines())
        print(json.dumps({"sent": sent, "got": got, "left": arrived.qsize()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
