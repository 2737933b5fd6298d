"""Clients that send messages to devices over AMQP and do nothing else: names that programs import."""

from __future__ import annotations

from ferrohub._frames import one_frame
from ferrohub.service.authentication import SharedAccessPolicy, TokenAuthorization
from ferrohub.service.messages import Messages
from ferrohub.service.operation import DEFAULT_TIMEOUT
from ferrohub.service.transport_type import TransportType, transport_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.service.authentication import Authorization, TokenCredential


class IoTHubAmqpClientBase:
    """What both clients have."""

    def __init__(self, hostname: str, authorization: Authorization, transport_type: Any) -> None:
        self.hostname = hostname
        self._messages = Messages(hostname, authorization, transport_of(transport_type), DEFAULT_TIMEOUT, True)

    @one_frame
    def send_message_to_device(self, device_id: str, message: Any, app_props: dict[str, Any]) -> None:
        """Send a message; see `IoTHubRegistryManager.send_c2d_message`."""
        self._messages.send((device_id, message, app_props), None)

    def disconnect_sync(self) -> None:
        """End the connection; a message afterwards opens a new one."""
        self._messages.close()


class IoTHubAmqpClientSharedAccessKeyAuth(IoTHubAmqpClientBase):
    """A client that signs with the key of a shared access policy."""

    def __init__(
        self,
        hostname: str,
        shared_access_key_name: str,
        shared_access_key: str,
        transport_type: Any = TransportType.Amqp,
    ) -> None:
        policy = SharedAccessPolicy.create_with_parsed_values(hostname, shared_access_key_name, shared_access_key)
        super().__init__(hostname, policy, transport_type)


class IoTHubAmqpClientTokenAuth(IoTHubAmqpClientBase):
    """A client with tokens of a credential."""

    def __init__(
        self,
        hostname: str,
        token_credential: TokenCredential,
        token_scope: str = "https://iothubs.azure.net/.default",  # noqa: S107 - a scope is no secret
        transport_type: Any = TransportType.Amqp,
    ) -> None:
        super().__init__(hostname, TokenAuthorization(token_credential), transport_type)
