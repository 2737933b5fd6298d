"""Types of what programs give and get; programs import them as `azure.iot.device.custom_typing`.

For annotations only: nothing of FerroHub imports this when it runs.
"""

from __future__ import annotations

import sys
from typing import Any, Awaitable, Callable, Dict, List, Tuple, TypedDict, TypeVar, Union

if sys.version_info >= (3, 10):
    from typing import ParamSpec
else:
    from typing_extensions import ParamSpec

_P = ParamSpec("_P")
_R = TypeVar("_R")

FunctionOrCoroutine = Union[Callable[_P, _R], Callable[_P, Awaitable[_R]]]
"""A handler."""

JSONSerializable = Union[
    Dict[str, "JSONSerializable"],
    List["JSONSerializable"],
    Tuple["JSONSerializable", ...],
    str,
    int,
    float,
    bool,
    None,
]
"""What `json.dumps` takes."""

Twin = Dict[str, Dict[str, JSONSerializable]]
"""`{"desired": {…}, "reported": {…}}`."""
TwinPatch = Dict[str, JSONSerializable]
"""Properties; None removes one."""
ProvisioningPayload = Union[Dict[str, Any], str, int]
"""What a device tells the provisioning service about itself."""


class StorageInfo(TypedDict):
    """Where to upload a file. https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-file-upload"""

    correlationId: str
    hostName: str
    containerName: str
    blobName: str
    sasToken: str
