"""The synchronous provisioning client."""

from __future__ import annotations

from ferrohub._frames import one_frame
from ferrohub.device._errors import wait
from ferrohub.provisioning.abstract_client import REGISTER_TIMEOUT, AbstractProvisioningDeviceClient, registered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.provisioning.registration_result import RegistrationResult

# What the official client says in place of the sentences of clients of a hub.
_SENTENCES = {
    "connection_dropped": "Lost connection to the provisioning server",
    "connection_failed": "Could not connect to the provisioning server",
    "protocol": "Error in the provisioning client",
    "tls": "Unexpected failure",
    "proxy": "Unexpected failure",
    "cancelled": "Unexpected failure",
}


class ProvisioningDeviceClient(AbstractProvisioningDeviceClient):
    """Has a hub assigned to the device."""

    @one_frame
    def register(self, timeout: float | None = REGISTER_TIMEOUT) -> RegistrationResult:
        """Register the device; returns when the service has assigned it to a hub.

        The client connects for this call and disconnects at its end. Once assigned it is done, and further calls raise
        ClientError; after an error it may be called again.

        Raises CredentialError, ConnectionFailedError, ConnectionDroppedError; ClientError if the service refuses (its
        cause is the ServiceError) or does not answer for 30 s; OperationTimeout after `timeout` (seconds, 600; None:
        as long as the service is at work). Ctrl-C ends the call.
        https://learn.microsoft.com/azure/iot-dps/concepts-service
        """
        return registered(wait(self._register_operation(timeout), _SENTENCES))
