"""Calls of the identity registry about devices.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask, authentication, quoted_or_star
from ferrohub.service.calls.creation import create
from ferrohub.service.models import Device, DeviceCapabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.service.calls import Call
    from ferrohub.service.models import AuthenticationMechanism


class DeviceCalls:
    """Create, read, update and delete devices.

    In all of them `status` is `enabled` or `disabled`, and `status_reason` says why (at most 128 characters).
    `iot_edge` makes it an IoT Edge device; `device_scope` and `parent_scopes` tie it to a gateway.
    """

    def create_device_with_sas(
        self,
        device_id: str,
        primary_key: str | None,
        secondary_key: str | None,
        status: str,
        iot_edge: bool = False,
        status_reason: str | None = None,
        device_scope: str | None = None,
        parent_scopes: str | list[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Device]:
        """Create a device that signs in with shared access keys.

        Keys are base64; `""` lets the hub make them. 409 if it exists.
        """
        signs_in = authentication.sas(primary_key, secondary_key)
        device = _device(device_id, signs_in, status, iot_edge, status_reason, device_scope, parent_scopes)
        return create(operations.PUT_DEVICE, operations.GET_DEVICE, (device_id,), device, timeout)

    def create_device_with_x509(
        self,
        device_id: str,
        primary_thumbprint: str | None,
        secondary_thumbprint: str | None,
        status: str,
        iot_edge: bool = False,
        status_reason: str | None = None,
        device_scope: str | None = None,
        parent_scopes: str | list[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Device]:
        """Create a device that signs in with a certificate of one of these thumbprints.

        Thumbprints are the SHA-1 or SHA-256 of the certificate, in hexadecimal. 409 if it exists.
        """
        signs_in = authentication.x509(primary_thumbprint, secondary_thumbprint)
        device = _device(device_id, signs_in, status, iot_edge, status_reason, device_scope, parent_scopes)
        return create(operations.PUT_DEVICE, operations.GET_DEVICE, (device_id,), device, timeout)

    def create_device_with_certificate_authority(
        self,
        device_id: str,
        status: str,
        iot_edge: bool = False,
        status_reason: str | None = None,
        device_scope: str | None = None,
        parent_scopes: str | list[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Device]:
        """Create a device that signs in with a certificate that a CA known to the hub has signed. 409 if it exists."""
        signs_in = authentication.certificate_authority()
        device = _device(device_id, signs_in, status, iot_edge, status_reason, device_scope, parent_scopes)
        return create(operations.PUT_DEVICE, operations.GET_DEVICE, (device_id,), device, timeout)

    def update_device_with_sas(
        self,
        device_id: str,
        etag: str | None,
        primary_key: str | None,
        secondary_key: str | None,
        status: str,
        iot_edge: bool = False,
        status_reason: str | None = None,
        device_scope: str | None = None,
        parent_scopes: str | list[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Device]:
        """Replace a device that signs in with shared access keys, if its etag is still this one. 404, 412.

        None as etag replaces whatever is there; `""` as a key lets the hub make a new one.
        """
        signs_in = authentication.sas(primary_key, secondary_key)
        device = _device(device_id, signs_in, status, iot_edge, status_reason, device_scope, parent_scopes)
        return _replace(device_id, device, etag, timeout)

    def update_device_with_x509(
        self,
        device_id: str,
        etag: str | None,
        primary_thumbprint: str | None,
        secondary_thumbprint: str | None,
        status: str,
        iot_edge: bool = False,
        status_reason: str | None = None,
        device_scope: str | None = None,
        parent_scopes: str | list[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Device]:
        """Replace a device that signs in with a certificate, if its etag is still this one. 404, 412."""
        signs_in = authentication.x509(primary_thumbprint, secondary_thumbprint)
        device = _device(device_id, signs_in, status, iot_edge, status_reason, device_scope, parent_scopes)
        return _replace(device_id, device, etag, timeout)

    def update_device_with_certificate_authority(
        self,
        device_id: str,
        etag: str | None,
        status: str,
        iot_edge: bool = False,
        status_reason: str | None = None,
        device_scope: str | None = None,
        parent_scopes: str | list[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> Call[Device]:
        """Replace a device whose certificate a CA has signed, if its etag is still this one. 404, 412."""
        signs_in = authentication.certificate_authority()
        device = _device(device_id, signs_in, status, iot_edge, status_reason, device_scope, parent_scopes)
        return _replace(device_id, device, etag, timeout)

    def get_device(self, device_id: str, *, timeout: float | None = None) -> Call[Device]:
        """A device identity, with its keys. 404 if there is none."""
        return ask(operations.GET_DEVICE, (device_id,), timeout=timeout)

    def get_devices(
        self, max_number_of_devices: int | None = None, *, timeout: float | None = None
    ) -> Call[list[Device]]:
        """Device identities in no certain order: as many as asked for, at most 1000. See `query` for all of them."""
        return ask(operations.GET_DEVICES, options=(max_number_of_devices,), timeout=timeout)

    def delete_device(self, device_id: str, etag: str | None = None, *, timeout: float | None = None) -> Call[None]:
        """Delete a device with its modules and twins, if its etag is still this one. 404, 412."""
        return ask(operations.DELETE_DEVICE, (device_id,), if_match=quoted_or_star(etag), timeout=timeout)


def _device(
    device_id: str,
    signs_in: AuthenticationMechanism,
    status: str,
    iot_edge: bool,
    status_reason: str | None,
    device_scope: str | None,
    parent_scopes: str | list[str] | None,
) -> Device:
    return Device(
        device_id=device_id,
        status=status,
        authentication=signs_in,
        capabilities=DeviceCapabilities(iot_edge=iot_edge),
        status_reason=status_reason,
        device_scope=device_scope,
        parent_scopes=[parent_scopes] if isinstance(parent_scopes, str) else parent_scopes,
    )


def _replace(device_id: str, device: Device, etag: str | None, timeout: float | None) -> Call[Device]:
    if_match = quoted_or_star(etag)
    return ask(operations.PUT_DEVICE, (device_id,), body=device, if_match=if_match, timeout=timeout)
