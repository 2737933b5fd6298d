"""Ask a hub under a name that is not loopback for its devices: with nothing set, then with its CA in SSL_CERT_FILE.

A program, because the name must lead to this machine: it runs in a network of its own (own_network.py). The hub is a
process of its own, the calls too: what a process trusts is settled at its first call. Prints two lines.
"""

from __future__ import annotations

import sys

from ferrohub import LocalHub
from support import run

GET = """
import sys
from azure.iot.hub import IoTHubRegistryManager
try:
    print(IoTHubRegistryManager(sys.argv[1]).get_devices())
except Exception as error:
    print(type(error).__name__, error)
"""

if __name__ == "__main__":
    with LocalHub(process=True, host_name=sys.argv[1], key="random") as hub:
        for env in ({}, {"SSL_CERT_FILE": str(hub.ca_file)}):
            print(run(sys.executable, "-c", GET, hub.connection_string, env=env).out, end="")
