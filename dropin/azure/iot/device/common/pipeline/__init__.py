"""The module path of `pipeline_exceptions`; FerroHub has no pipeline."""

from ferrohub._submodules import submodules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.iot.device.common.pipeline import pipeline_exceptions as pipeline_exceptions

__getattr__ = submodules(__name__, "pipeline_exceptions")
