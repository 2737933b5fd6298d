"""Reads a queue of back ends with the AMQP client of one of Microsoft's packages: gives the first message back,
and takes all others, until none comes any more.

A program: `python service_queue_peer.py PEER WAY HOST PORT CA_FILE PATH TOKEN`. Prints as a line of JSON each message
that it gets: what it did with it, and what is in it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

SILENCE = 2
"""Seconds without a message are the end."""


class Hub(NamedTuple):
    """Where to read, and as whom."""

    host: str
    port: int
    ca_file: str
    path: str
    token: str

    @property
    def expires(self) -> int:
        """When the token does, seconds since 1970."""
        return int(self.token.partition("&se=")[2].partition("&")[0])

    @property
    def source(self) -> str:
        """The address of the queue."""
        return f"amqps://{self.host}{self.path}"


def text(value: Any) -> Any:
    """A value of AMQP as JSON has it."""
    return value.decode() if isinstance(value, bytes) else value


def tell(did: str, message: Any, content: list[Any]) -> None:
    """Print a message."""
    properties = message.properties
    print(
        json.dumps(
            {
                "did": did,
                "body": json.loads(b"".join(content)),
                "content_type": text(properties.content_type),
                "user_id": text(properties.user_id),
                "delivery_count": message.header.delivery_count or 0,
            }
        ),
        flush=True,
    )


def read_with_uamqp(hub: Hub, way: str) -> None:
    """The client inside `azure-iot-hub`."""
    import uamqp
    from uamqp import authentication

    transport = uamqp.TransportType.AmqpOverWebsocket if way == "websocket" else uamqp.TransportType.Amqp
    resource = f"https://{hub.host}"
    auth = authentication.SASTokenAuth(
        resource,
        resource,
        hub.token,
        expires_at=hub.expires,
        port=hub.port,
        verify=hub.ca_file,
        transport_type=transport,
    )
    with uamqp.ReceiveClient(hub.source, auth=auth, auto_complete=False, prefetch=10) as client:
        outcome = "released"
        while batch := client.receive_message_batch(timeout=SILENCE * 1000):
            for message in batch:
                tell(outcome, message, list(message.get_data()))
                (message.release if outcome == "released" else message.accept)()
                outcome = "accepted"


def read_with_pyamqp(hub: Hub, way: str) -> None:
    """The client inside `azure-eventhub`."""
    from azure.eventhub import _pyamqp as pyamqp
    from azure.eventhub._pyamqp.authentication import AccessToken, JWTTokenAuth
    from azure.eventhub._pyamqp.constants import TransportType

    scheme, websocket = ("wss", "/$servicebus/websocket/") if way == "websocket" else ("amqps", "")
    resource = f"https://{hub.host}"
    client = pyamqp.ReceiveClient(
        hub.host,
        hub.source,
        auth=JWTTokenAuth(
            resource,
            resource,
            lambda: AccessToken(hub.token, hub.expires),
            token_type="servicebus.windows.net:sastoken",
        ),
        transport_type=TransportType.AmqpOverWebsocket if way == "websocket" else TransportType.Amqp,
        custom_endpoint_address=f"{scheme}://{hub.host}:{hub.port}{websocket}",
        connection_verify=hub.ca_file,
        auto_complete=False,
        link_credit=10,
    )

    with client:
        outcome = "released"
        for frame, message in client.receive_messages_iter(timeout=SILENCE):
            tell(outcome, message, message.data)
            client.settle_messages(frame[1], frame[2], outcome)
            outcome = "accepted"


def main(peer: str, way: str, host: str, port: str, *rest: str) -> None:
    """Read the queue."""
    {"uamqp": read_with_uamqp, "pyamqp": read_with_pyamqp}[peer](Hub(host, int(port), *rest), way)


if __name__ == "__main__":
    main(*sys.argv[1:])
