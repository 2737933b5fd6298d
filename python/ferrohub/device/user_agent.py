"""What the official package says it is; programs import this as `azure.iot.device.user_agent`.

FerroHub's clients say that they are FerroHub (`ferrohub.device.options`); these texts are for programs that make
requests of their own in the same name.
"""

from __future__ import annotations

import platform

from ferrohub.device.constant import IOTHUB_IDENTIFIER, PROVISIONING_IDENTIFIER, VERSION


def get_iothub_user_agent() -> str:
    """`identifier/version(python;system kernel;machine)` of clients of a hub."""
    return IOTHUB_IDENTIFIER + _version_and_platform()


def get_provisioning_user_agent() -> str:
    """The same for clients of the provisioning service."""
    return PROVISIONING_IDENTIFIER + _version_and_platform()


def _version_and_platform() -> str:
    system = f"{platform.system()} {platform.version()}"
    return f"/{VERSION}({platform.python_version()};{system};{platform.machine()})"
