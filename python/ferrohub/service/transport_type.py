"""Which way cloud-to-device messages travel; REST calls always use HTTPS."""

from __future__ import annotations

import enum


class TransportType(enum.Enum):
    """AMQP on port 5671, or AMQP over a WebSocket on port 443; named as in `uamqp.TransportType`."""

    Amqp = 1
    AmqpOverWebsocket = 2


def transport_of(value: object) -> TransportType:
    """One of ours for one of ours, for uamqp's of the same name, or for its number."""
    return TransportType(getattr(value, "value", value))
