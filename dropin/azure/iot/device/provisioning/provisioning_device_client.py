"""The synchronous client."""

from ferrohub.provisioning.clients import ProvisioningDeviceClient as ProvisioningDeviceClient
