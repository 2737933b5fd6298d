"""Takes a batch of feedback over REST with whatever package is installed: gives it back, takes it again, is done with
it, and then once more.

A program: `python feedback_program.py CONNECTION_STRING`. Prints as a line of JSON what came of each step.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from azure.iot.hub import IoTHubHttpRuntimeManager


def main(connection_string: str) -> None:
    """Go through the steps."""
    manager: Any = IoTHubHttpRuntimeManager.from_connection_string(connection_string)

    def receive() -> str:
        answer = manager.protocol.cloud_to_device_messages.receive_feedback_notification(raw=True).response
        headers = answer.headers
        records = json.loads(answer.text) if answer.text else []
        ids = [record["originalMessageId"] for record in records]
        print(json.dumps([answer.status_code, headers.get("Content-Type"), ids]), flush=True)
        return str(headers.get("ETag", "")).strip('"')

    manager.abandon_feedback_notification(receive())
    token = receive()
    manager.complete_feedback_notification(token)
    receive()
    try:
        manager.complete_feedback_notification(token)
    except Exception as error:  # noqa: BLE001 - what it is is what is asked
        print(json.dumps([type(error).__name__, getattr(error, "response").status_code]), flush=True)  # noqa: B009


if __name__ == "__main__":
    main(*sys.argv[1:])
