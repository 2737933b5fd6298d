"""Numbers and names of the device interface."""

from ferrohub.device.constant import *
