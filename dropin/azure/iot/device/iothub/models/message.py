"""Messages."""

from ferrohub.device.message import Message as Message
