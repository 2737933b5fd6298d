"""Types of what programs give and get, for annotations."""

from ferrohub.device.custom_typing import FunctionOrCoroutine as FunctionOrCoroutine
from ferrohub.device.custom_typing import JSONSerializable as JSONSerializable
from ferrohub.device.custom_typing import ProvisioningPayload as ProvisioningPayload
from ferrohub.device.custom_typing import StorageInfo as StorageInfo
from ferrohub.device.custom_typing import Twin as Twin
from ferrohub.device.custom_typing import TwinPatch as TwinPatch
