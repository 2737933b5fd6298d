"""A hub on standard ports and the program of scenarios: `python -m interop.run PYTHON WAY TRANSPORT FOLDER`.

In a network of its own, for the official package knows no other ports. The hub is a process of its own, which
the scenarios may kill; its data lie in FOLDER. Prints the outcome of each scenario as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ferrohub import LocalHub
from interop.back import Back


def main(python: str, way: str, transport: str, folder: Path) -> None:
    with LocalHub(standard_ports=True, process=True, data=folder / "hub.data") as hub:
        command = [python, "-m", "interop.program", way, transport, hub.connection_string, hub.ca_file]
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": hub.ca_file}
        back = Back(hub)
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin
            assert program.stdout
            for line in program.stdout:
                question = json.loads(line)
                if "outcomes" in question:
                    print(json.dumps(question["outcomes"]))
                    break
                print(json.dumps(back.answer(**question)), file=program.stdin, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
