"""Clients that send messages to devices over AMQP."""

from ferrohub.service.amqp_client import (
    IoTHubAmqpClientBase,
    IoTHubAmqpClientSharedAccessKeyAuth,
    IoTHubAmqpClientTokenAuth,
)

__all__ = ["IoTHubAmqpClientBase", "IoTHubAmqpClientSharedAccessKeyAuth", "IoTHubAmqpClientTokenAuth"]
