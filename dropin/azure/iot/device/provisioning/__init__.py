"""The provisioning service."""

from ferrohub._submodules import submodules
from ferrohub.provisioning.registration_result import RegistrationResult

__all__ = ["RegistrationResult"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.device.provisioning import models as models

__getattr__ = submodules(__name__, "models")
