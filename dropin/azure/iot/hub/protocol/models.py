"""The models of IoT Hub's REST interface."""

from ferrohub.service.models import *
