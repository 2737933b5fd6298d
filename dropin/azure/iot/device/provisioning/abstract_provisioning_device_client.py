"""What provisioning clients have in common."""

from ferrohub.provisioning.abstract_client import AbstractProvisioningDeviceClient as AbstractProvisioningDeviceClient
