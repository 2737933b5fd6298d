"""What clients of the hub and of the provisioning service have in common."""

from ferrohub._submodules import submodules
from ferrohub.device.proxy_options import ProxyOptions
from ferrohub.device.x509 import X509

__all__ = ["X509", "ProxyOptions"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.device.common import auth as auth
    from azure.iot.device.common import models as models
    from azure.iot.device.common import pipeline as pipeline
    from azure.iot.device.common import transport_exceptions as transport_exceptions

__getattr__ = submodules(__name__, "auth", "models", "pipeline", "transport_exceptions")
