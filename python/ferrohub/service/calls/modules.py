"""Calls of the identity registry about modules.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry#module-identity-properties
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask, authentication, quoted_or_star
from ferrohub.service.calls.creation import create
from ferrohub.service.models import Module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.service.calls import Call


class ModuleCalls:
    """Create, read, update and delete the modules of devices. `managed_by` names who manages it, such as `iotEdge`."""

    def create_module_with_sas(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        primary_key: str | None,
        secondary_key: str | None,
        *,
        timeout: float | None = None,
    ) -> Call[Module]:
        """Create a module that signs in with shared access keys; `""` lets the hub make them. 409 if it exists."""
        signs_in = authentication.sas(primary_key, secondary_key)
        module = Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=signs_in)
        path = (device_id, module_id)
        return create(operations.PUT_MODULE, operations.GET_MODULE, path, module, timeout)

    def create_module_with_x509(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        primary_thumbprint: str | None,
        secondary_thumbprint: str | None,
        *,
        timeout: float | None = None,
    ) -> Call[Module]:
        """Create a module that signs in with a certificate of one of these thumbprints. 409 if it exists."""
        signs_in = authentication.x509(primary_thumbprint, secondary_thumbprint)
        module = Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=signs_in)
        path = (device_id, module_id)
        return create(operations.PUT_MODULE, operations.GET_MODULE, path, module, timeout)

    def create_module_with_certificate_authority(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        *,
        timeout: float | None = None,
    ) -> Call[Module]:
        """Create a module whose certificate a CA known to the hub has signed. 409 if it exists."""
        signs_in = authentication.certificate_authority()
        module = Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=signs_in)
        path = (device_id, module_id)
        return create(operations.PUT_MODULE, operations.GET_MODULE, path, module, timeout)

    def update_module_with_sas(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        etag: str | None,
        primary_key: str | None,
        secondary_key: str | None,
        *,
        timeout: float | None = None,
    ) -> Call[Module]:
        """Replace a module that signs in with shared access keys, if its etag is still this one. 404, 412."""
        signs_in = authentication.sas(primary_key, secondary_key)
        module = Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=signs_in)
        return _replace((device_id, module_id), module, etag, timeout)

    def update_module_with_x509(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        etag: str | None,
        primary_thumbprint: str | None,
        secondary_thumbprint: str | None,
        *,
        timeout: float | None = None,
    ) -> Call[Module]:
        """Replace a module that signs in with a certificate, if its etag is still this one. 404, 412."""
        signs_in = authentication.x509(primary_thumbprint, secondary_thumbprint)
        module = Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=signs_in)
        return _replace((device_id, module_id), module, etag, timeout)

    def update_module_with_certificate_authority(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        etag: str | None,
        *,
        timeout: float | None = None,
    ) -> Call[Module]:
        """Replace a module whose certificate a CA has signed, if its etag is still this one. 404, 412."""
        signs_in = authentication.certificate_authority()
        module = Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=signs_in)
        module.etag = etag  # as the official package sends it, in this call only
        return _replace((device_id, module_id), module, etag, timeout)

    def get_module(self, device_id: str, module_id: str, *, timeout: float | None = None) -> Call[Module]:
        """A module identity, with its keys. 404 if there is none."""
        return ask(operations.GET_MODULE, (device_id, module_id), timeout=timeout)

    def get_modules(self, device_id: str, *, timeout: float | None = None) -> Call[list[Module]]:
        """All module identities of a device. 404 if there is no such device."""
        return ask(operations.GET_MODULES, (device_id,), timeout=timeout)

    def delete_module(
        self, device_id: str, module_id: str, etag: str | None = None, *, timeout: float | None = None
    ) -> Call[None]:
        """Delete a module and its twin, if its etag is still this one. 404, 412."""
        path = (device_id, module_id)
        return ask(operations.DELETE_MODULE, path, if_match=quoted_or_star(etag), timeout=timeout)


def _replace(path: tuple[str, str], module: Module, etag: str | None, timeout: float | None) -> Call[Module]:
    return ask(operations.PUT_MODULE, path, body=module, if_match=quoted_or_star(etag), timeout=timeout)
