"""The client of digital twins."""

from ferrohub.service.digital_twin_client import DigitalTwinClient

__all__ = ["DigitalTwinClient"]
