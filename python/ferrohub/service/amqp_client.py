"""Clients that send messages to devices over AMQP: names that programs import. AMQP is still to be built."""

from __future__ import annotations

from ferrohub.service.transport_type import TransportType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.service.authentication import TokenCredential


def not_built() -> NotImplementedError:
    """What is raised when a message should be sent."""
    return NotImplementedError(
        "sending messages to devices needs AMQP, which FerroHub does not speak yet. For a local hub there are"
        " `ferrohub c2d send` and LocalHub.send_c2d_message."
    )


class IoTHubAmqpClientBase:
    """What both clients have."""

    def send_message_to_device(self, device_id: str, message: Any, app_props: dict[str, Any]) -> None:
        """Not built yet."""
        raise not_built()

    def disconnect_sync(self) -> None:
        """Nothing: there is no connection."""


class IoTHubAmqpClientSharedAccessKeyAuth(IoTHubAmqpClientBase):
    """A client that signs with the key of a shared access policy."""

    def __init__(
        self,
        hostname: str,
        shared_access_key_name: str,
        shared_access_key: str,
        transport_type: Any = TransportType.Amqp,
    ) -> None:
        self.hostname = hostname


class IoTHubAmqpClientTokenAuth(IoTHubAmqpClientBase):
    """A client with tokens of a credential."""

    def __init__(
        self,
        hostname: str,
        token_credential: TokenCredential,
        token_scope: str = "https://iothubs.azure.net/.default",  # noqa: S107 - a scope is no secret
        transport_type: Any = TransportType.Amqp,
    ) -> None:
        self.hostname = hostname
