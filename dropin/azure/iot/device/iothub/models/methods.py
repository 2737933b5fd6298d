"""Direct methods."""

from ferrohub.device.methods import MethodRequest as MethodRequest
from ferrohub.device.methods import MethodResponse as MethodResponse
