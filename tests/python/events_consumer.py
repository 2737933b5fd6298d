"""The same as `event_hubs_consumer.py`, with our reader, which trusts the hub without being told."""

from __future__ import annotations

import json
import sys

from ferrohub.service import EventReader


def main(connection_string: str, _ca_file: str, positions: str) -> None:
    """Read on from these positions."""
    reader = EventReader.from_connection_string(connection_string, start=json.loads(positions))
    for event in reader:
        print(event.partition, event.sequence_number, event.device_id, event.body.decode().strip(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
