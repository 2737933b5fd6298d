"""What the official package says it is, for programs that make requests of their own."""

from ferrohub.device.user_agent import get_iothub_user_agent as get_iothub_user_agent
from ferrohub.device.user_agent import get_provisioning_user_agent as get_provisioning_user_agent
