"""Run the tutorial's three scripts against a local hub, the service's with one Python, the module's with another.

A program, because the official packages need standard ports and so a network of its own:
`python tutorial_run.py SERVICE_PYTHON MODULE_PYTHON FOLDER [--standard-ports]`. Prints each script's outcome as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

from ferrohub import LocalHub
from support import (
    CREATE,
    DEVICE,
    MODULE,
    PATCH_TOPIC,
    RECEIVE,
    UPDATE,
    Outcome,
    Program,
    run,
    tutorial_script,
)


def tutorial(service: str, module: str, folder: Path, *, standard_ports: bool) -> dict[str, Outcome]:
    """Create twice, receive, update once, Ctrl-C."""
    with LocalHub(process=True, standard_ports=standard_ports) as hub:

        def given(connection_string: str) -> str:
            return re.sub(r":\d+;", ";", connection_string, count=1) if standard_ports else connection_string

        # What the official packages need to trust this hub, and ours do not.
        trust = {"SSL_CERT_FILE": hub.ca_file, "REQUESTS_CA_BUNDLE": hub.ca_file}
        service_env = {} if service == sys.executable else trust
        module_env = {} if module == sys.executable else trust

        create = tutorial_script(CREATE, given(hub.connection_string), folder)
        outcomes = {
            "create": run(service, create, env=service_env),
            "again": run(service, create, env=service_env),
        }
        receive = tutorial_script(RECEIVE, given(hub.module_connection_string(DEVICE, MODULE)), folder)
        update = tutorial_script(UPDATE, given(hub.connection_string), folder)
        with Program(module, receive, env=module_env) as receiver:
            hub.wait_subscribed(DEVICE, MODULE, PATCH_TOPIC)
            outcomes["update"] = run(service, update, env=service_env)
            receiver.wait_for(r"^\{")
            receiver.interrupt()
            outcomes["receive"] = receiver.finish()
        return outcomes


if __name__ == "__main__":
    ran = tutorial(sys.argv[1], sys.argv[2], Path(sys.argv[3]), standard_ports="--standard-ports" in sys.argv)
    print(json.dumps({name: asdict(outcome) for name, outcome in ran.items()}))
