"""Be the module: wait for changes of its desired properties and print each. Ctrl-C ends it.

Run it:

    export MODULE_CONNECTION_STRING='...'     # `ferrohub connection-string myFirstDevice myFirstModule` prints it
    python receive_desired_properties.py
"""

from __future__ import annotations

import os

from azure.iot.device import IoTHubModuleClient


def main() -> None:
    """Receive until Ctrl-C."""
    client = IoTHubModuleClient.create_from_connection_string(os.environ["MODULE_CONNECTION_STRING"])
    try:
        while True:
            # The first call connects and subscribes. It waits without end: a twin may not change for days.
            patch = client.receive_twin_desired_properties_patch()
            # Only what changed, and the version of the desired properties it led to. None means: removed.
            print(patch, flush=True)
    except KeyboardInterrupt:
        print("stopped")
    finally:
        client.shutdown()


if __name__ == "__main__":
    main()
