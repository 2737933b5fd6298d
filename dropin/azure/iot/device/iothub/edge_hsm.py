"""The workload API of IoT Edge, which signs for modules."""

from ferrohub.device.edge import IoTEdgeError as IoTEdgeError
from ferrohub.device.edge import IoTEdgeHsm as IoTEdgeHsm
