"""The asyncio provisioning client."""

from __future__ import annotations

from ferrohub._frames import one_frame_async
from ferrohub.device import loops
from ferrohub.provisioning.abstract_client import REGISTER_TIMEOUT, AbstractProvisioningDeviceClient, registered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.provisioning.registration_result import RegistrationResult


class ProvisioningDeviceClient(AbstractProvisioningDeviceClient):
    """Has a hub assigned to the device."""

    @one_frame_async
    async def register(self, timeout: float | None = REGISTER_TIMEOUT) -> RegistrationResult:
        """Register the device, as the synchronous client does; a task that is cancelled closes its connection."""
        return registered(await loops.running().run(self._register_operation(timeout)))
