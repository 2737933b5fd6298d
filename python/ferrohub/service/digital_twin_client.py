"""`DigitalTwinClient`: digital twins: devices seen through their IoT Plug and Play model.

Its methods are declared in `ferrohub.service.calls`.
"""

from __future__ import annotations

from ferrohub.service.calls.digital_twins import DigitalTwinCalls
from ferrohub.service.manager import Manager, blocking


class DigitalTwinClient(Manager):
    """Digital twins: devices seen through their IoT Plug and Play model."""

    get_digital_twin = blocking(DigitalTwinCalls.get_digital_twin)
    update_digital_twin = blocking(DigitalTwinCalls.update_digital_twin)
    invoke_component_command = blocking(DigitalTwinCalls.invoke_component_command)
    invoke_command = blocking(DigitalTwinCalls.invoke_command)
