"""Calls about twins, and of direct methods.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask, quoted_or_star

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from ferrohub.service.calls import Call
    from ferrohub.service.models import CloudToDeviceMethod, CloudToDeviceMethodResult, Twin

    TwinPatch = Union[Twin, dict[str, Any]]
    MethodRequest = Union[CloudToDeviceMethod, dict[str, Any]]


class TwinCalls:
    """Read and write the twins of devices and modules. An etag of None means "whatever is there"."""

    def get_twin(self, device_id: str, *, timeout: float | None = None) -> Call[Twin]:
        """A device's twin. 404 if there is no such device."""
        return ask(operations.GET_TWIN, (device_id,), timeout=timeout)

    def replace_twin(
        self, device_id: str, device_twin: TwinPatch, etag: str | None = None, *, timeout: float | None = None
    ) -> Call[Twin]:
        """Replace tags and desired properties of a device's twin; what isn't given is removed. 404, 412."""
        if_match = quoted_or_star(etag)
        return ask(operations.REPLACE_TWIN, (device_id,), body=device_twin, if_match=if_match, timeout=timeout)

    def update_twin(
        self, device_id: str, device_twin: TwinPatch, etag: str | None = None, *, timeout: float | None = None
    ) -> Call[Twin]:
        """Merge tags and desired properties into a device's twin; None in a dict removes a key. 404, 412."""
        if_match = quoted_or_star(etag)
        return ask(operations.UPDATE_TWIN, (device_id,), body=device_twin, if_match=if_match, timeout=timeout)

    def get_module_twin(self, device_id: str, module_id: str, *, timeout: float | None = None) -> Call[Twin]:
        """A module's twin. 404 if there is no such module."""
        return ask(operations.GET_MODULE_TWIN, (device_id, module_id), timeout=timeout)

    def replace_module_twin(
        self,
        device_id: str,
        module_id: str,
        module_twin: TwinPatch,
        etag: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Twin]:
        """Replace tags and desired properties of a module's twin; what isn't given is removed. 404, 412."""
        path, if_match = (device_id, module_id), quoted_or_star(etag)
        return ask(operations.REPLACE_MODULE_TWIN, path, body=module_twin, if_match=if_match, timeout=timeout)

    def update_module_twin(
        self,
        device_id: str,
        module_id: str,
        module_twin: TwinPatch,
        etag: str | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Twin]:
        """Merge tags and desired properties into a module's twin; None in a dict removes a key. 404, 412."""
        path, if_match = (device_id, module_id), quoted_or_star(etag)
        return ask(operations.UPDATE_MODULE_TWIN, path, body=module_twin, if_match=if_match, timeout=timeout)


class MethodCalls:
    """Call direct methods.

    The hub waits `connect_timeout_in_seconds` (0) for the device to connect and `response_timeout_in_seconds` (30, from
    5 to 300) for its response. A call without a `timeout` of its own has at least that time, and 10 s. The result has
    the `status` and `payload` that the device gave. 404 if there is no such device, or if it is not connected; 504 if
    it did not respond.
    """

    def invoke_device_method(
        self, device_id: str, direct_method_request: MethodRequest, *, timeout: float | None = None
    ) -> Call[CloudToDeviceMethodResult]:
        """Call a direct method of a device."""
        body = _with_payload(direct_method_request)
        return ask(operations.INVOKE_METHOD, (device_id,), body=body, timeout=timeout)

    def invoke_device_module_method(
        self, device_id: str, module_id: str, direct_method_request: MethodRequest, *, timeout: float | None = None
    ) -> Call[CloudToDeviceMethodResult]:
        """Call a direct method of a module."""
        body = _with_payload(direct_method_request)
        return ask(operations.INVOKE_MODULE_METHOD, (device_id, module_id), body=body, timeout=timeout)


def _with_payload(request: MethodRequest) -> MethodRequest:
    """The request with `""` for a payload of None, as the official package sends it (and writes into the caller's)."""
    if getattr(request, "payload", "") is None:
        import copy

        request = copy.copy(request)
        request.payload = ""  # type: ignore[union-attr]  # a dict has no such attribute
    return request
