"""The asyncio client."""

from ferrohub.provisioning.aio import ProvisioningDeviceClient as ProvisioningDeviceClient

__all__ = ["ProvisioningDeviceClient"]
