"""Read all events with the official client of Event Hubs until killed: each a line, `partition sequence device body`.

`event_hubs_consumer.py CONNECTION_STRING CA_FILE POSITIONS`, where POSITIONS has the sequence number of the last event
that was read, by partition, as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from azure.eventhub import EventHubConsumerClient, TransportType


def main(connection_string: str, ca_file: str, positions: str) -> None:
    """Read on from these positions."""
    endpoint = re.search("Endpoint=(sb://[^/]*)/", connection_string)
    assert endpoint
    client = EventHubConsumerClient.from_connection_string(
        connection_string,
        "$Default",
        custom_endpoint_address=endpoint[1],
        transport_type=TransportType.Amqp,
        connection_verify=ca_file,
    )
    known = json.loads(positions)
    partitions = client.get_partition_ids()

    def on_batch(context: Any, batch: list[Any]) -> None:
        for event in batch:
            device = event.system_properties[b"iothub-connection-device-id"].decode()
            print(context.partition_id, event.sequence_number, device, event.body_as_str())
        sys.stdout.flush()

    client.receive_batch(
        on_batch, starting_position={one: known.get(one, "-1") for one in partitions}, max_wait_time=0.1
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
