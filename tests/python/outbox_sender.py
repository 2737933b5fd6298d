"""Sends numbers through an outbox: CONNECTION_STRING FILE FIRST END [wait]. Killed by the tests, again and again.

Prints `accepted N` whenever all numbers below N are accepted, and `delivered` at the end. With `wait` it then stays.
"""

from __future__ import annotations

import logging
import sys
import time

from azure.iot.device import IoTHubDeviceClient
from ferrohub import Outbox

BATCH = 50


def main(connection_string: str, path: str, first: int, end: int, *, wait: bool) -> None:
    logging.disable()  # what the connection suffers is the test's doing
    with IoTHubDeviceClient.create_from_connection_string(
        connection_string, outbox=Outbox(path), connection_retry_interval=1
    ) as client:
        for start in range(first, end, BATCH):
            numbers = range(start, min(start + BATCH, end))
            outcomes = client.send_messages([str(number) for number in numbers])
            assert outcomes == [None] * len(numbers), outcomes
            print(f"accepted {numbers.stop}", flush=True)
        if wait:
            time.sleep(3600)
        client.flush(timeout=None)
    print("delivered", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), wait="wait" in sys.argv[5:])
