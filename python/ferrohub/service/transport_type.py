"""Which way cloud-to-device messages travel; REST calls always use HTTPS."""

from __future__ import annotations

import enum


class TransportType(enum.Enum):
    """AMQP on port 5671, or AMQP over a WebSocket on port 443; named as in `uamqp.TransportType`."""

    Amqp = 1
    AmqpOverWebsocket = 2
