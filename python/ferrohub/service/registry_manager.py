"""IoTHubRegistryManager: the device and module identities of a hub, and their twins.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins
"""

from __future__ import annotations

from ferrohub._frames import one_frame
from ferrohub.service import operations
from ferrohub.service.authentication import SharedAccessPolicy, TokenAuthorization
from ferrohub.service.client import ServiceClient
from ferrohub.service.models import AuthenticationMechanism, Device, DeviceCapabilities, Module, SymmetricKey
from ferrohub.service.transport_type import TransportType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from ferrohub.service.authentication import TokenCredential
    from ferrohub.service.models import Twin

    TwinPatch = Union[Twin, dict[str, Any]]


class IoTHubRegistryManager:
    """Create, read, update and delete identities; read and write twins.

    One manager keeps its connections to the hub and may be used from many threads. Making it does no I/O.

    Every method raises

    - `msrest.exceptions.HttpOperationError` if the hub refuses. `error.response.status_code` is its status
      (401 wrong key or policy, 404 no such device, 409 exists already, 412 the etag is stale, 429 throttled),
      and the text holds the hub's own message.
    - `msrest.exceptions.ClientRequestError` if no answer came: refused, host name unknown, TLS, time-out.
      Where it is safe, a call is tried four times over 5 s before; it takes 100 s at most.
    - `msrest.exceptions.ValidationError` if an identifier or a body is None.

    An etag of None means "whatever is there": If-Match is then `"*"`.
    """

    @one_frame
    def __init__(
        self,
        connection_string: str | None = None,
        host: str | None = None,
        token_credential: TokenCredential | None = None,
        transport_type: Any = TransportType.Amqp,
    ) -> None:
        """From the connection string of a shared access policy, or from a host name and a token credential.

        A port in the host name (`localhost:8443`) is kept: that is how a local hub is reached.
        Raises ValueError or KeyError for another kind of connection string, TypeError if there is none.
        """
        authorization: SharedAccessPolicy | TokenAuthorization
        if host is not None:
            authorization = TokenAuthorization(host, token_credential)  # type: ignore[arg-type]
        else:
            authorization = SharedAccessPolicy(connection_string)
        self._client = ServiceClient(authorization)
        self._transport_type = TransportType(getattr(transport_type, "value", transport_type))

    @classmethod
    @one_frame
    def from_connection_string(
        cls, connection_string: str, transport_type: Any = TransportType.Amqp
    ) -> IoTHubRegistryManager:
        """A manager for the connection string of a shared access policy."""
        return cls(connection_string=connection_string, transport_type=transport_type)

    @classmethod
    @one_frame
    def from_token_credential(
        cls, url: str, token_credential: TokenCredential, transport_type: Any = TransportType.Amqp
    ) -> IoTHubRegistryManager:
        """A manager for a hub's host name (`url`) and a credential, for instance of azure-identity."""
        return cls(host=url, token_credential=token_credential, transport_type=transport_type)

    # --- device identities ---

    @one_frame
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
    ) -> Device:
        """Create a device that signs in with shared access keys.

        Keys are base64; `""` lets the hub make them. `status` is `enabled` or `disabled`. `device_scope` and
        `parent_scopes` tie it to an IoT Edge gateway. 409 if it exists.
        """
        keys = _sas(primary_key, secondary_key)
        device = _device(device_id, keys, status, iot_edge, status_reason, device_scope, parent_scopes)
        return self._client.call(operations.CREATE_DEVICE, (device_id,), body=device)

    @one_frame
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
    ) -> Device:
        """Replace a device identity, if its etag is still this one. 404, 412."""
        keys = _sas(primary_key, secondary_key)
        device = _device(device_id, keys, status, iot_edge, status_reason, device_scope, parent_scopes)
        return self._client.call(operations.UPDATE_DEVICE, (device_id,), body=device, etag=etag)

    @one_frame
    def get_device(self, device_id: str) -> Device:
        """A device identity, with its keys. 404 if there is none."""
        return self._client.call(operations.GET_DEVICE, (device_id,))

    @one_frame
    def get_devices(self, max_number_of_devices: int | None = None) -> list[Device]:
        """Device identities in no certain order: as many as asked for, at most 1000."""
        return self._client.call(operations.GET_DEVICES, query=(max_number_of_devices,))

    @one_frame
    def delete_device(self, device_id: str, etag: str | None = None) -> None:
        """Delete a device with its modules and twins, if its etag is still this one. 404, 412."""
        return self._client.call(operations.DELETE_DEVICE, (device_id,), etag=etag)

    # --- module identities ---

    @one_frame
    def create_module_with_sas(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        primary_key: str | None,
        secondary_key: str | None,
    ) -> Module:
        """Create a module of a device; keys of `""` lets the hub make them. 409 if it exists."""
        module = _module(device_id, module_id, managed_by, _sas(primary_key, secondary_key))
        return self._client.call(operations.CREATE_MODULE, (device_id, module_id), body=module)

    @one_frame
    def update_module_with_sas(
        self,
        device_id: str,
        module_id: str,
        managed_by: str | None,
        etag: str | None,
        primary_key: str | None,
        secondary_key: str | None,
    ) -> Module:
        """Replace a module identity, if its etag is still this one. 404, 412."""
        module = _module(device_id, module_id, managed_by, _sas(primary_key, secondary_key))
        return self._client.call(operations.UPDATE_MODULE, (device_id, module_id), body=module, etag=etag)

    @one_frame
    def get_module(self, device_id: str, module_id: str) -> Module:
        """A module identity, with its keys. 404 if there is none."""
        return self._client.call(operations.GET_MODULE, (device_id, module_id))

    @one_frame
    def get_modules(self, device_id: str) -> list[Module]:
        """All module identities of a device. 404 if there is no such device."""
        return self._client.call(operations.GET_MODULES, (device_id,))

    @one_frame
    def delete_module(self, device_id: str, module_id: str, etag: str | None = None) -> None:
        """Delete a module and its twin, if its etag is still this one. 404, 412."""
        return self._client.call(operations.DELETE_MODULE, (device_id, module_id), etag=etag)

    # --- twins ---

    @one_frame
    def get_twin(self, device_id: str) -> Twin:
        """A device's twin. 404 if there is no such device."""
        return self._client.call(operations.GET_TWIN, (device_id,))

    @one_frame
    def replace_twin(self, device_id: str, device_twin: TwinPatch, etag: str | None = None) -> Twin:
        """Replace tags and desired properties of a device's twin; what isn't given is removed. 404, 412."""
        return self._client.call(operations.REPLACE_TWIN, (device_id,), body=device_twin, etag=etag)

    @one_frame
    def update_twin(self, device_id: str, device_twin: TwinPatch, etag: str | None = None) -> Twin:
        """Merge tags and desired properties into a device's twin; None in a dict removes a key. 404, 412."""
        return self._client.call(operations.UPDATE_TWIN, (device_id,), body=device_twin, etag=etag)

    @one_frame
    def get_module_twin(self, device_id: str, module_id: str) -> Twin:
        """A module's twin. 404 if there is no such module."""
        return self._client.call(operations.GET_MODULE_TWIN, (device_id, module_id))

    @one_frame
    def replace_module_twin(
        self, device_id: str, module_id: str, module_twin: TwinPatch, etag: str | None = None
    ) -> Twin:
        """Replace tags and desired properties of a module's twin; what isn't given is removed. 404, 412."""
        path = (device_id, module_id)
        return self._client.call(operations.REPLACE_MODULE_TWIN, path, body=module_twin, etag=etag)

    @one_frame
    def update_module_twin(
        self, device_id: str, module_id: str, module_twin: TwinPatch, etag: str | None = None
    ) -> Twin:
        """Merge tags and desired properties into a module's twin; None in a dict removes a key. 404, 412."""
        path = (device_id, module_id)
        return self._client.call(operations.UPDATE_MODULE_TWIN, path, body=module_twin, etag=etag)


def _sas(primary_key: str | None, secondary_key: str | None) -> AuthenticationMechanism:
    keys = SymmetricKey(primary_key=primary_key, secondary_key=secondary_key)
    return AuthenticationMechanism(type="sas", symmetric_key=keys)


def _device(
    device_id: str,
    authentication: AuthenticationMechanism,
    status: str,
    iot_edge: bool,
    status_reason: str | None,
    device_scope: str | None,
    parent_scopes: str | list[str] | None,
) -> Device:
    return Device(
        device_id=device_id,
        status=status,
        authentication=authentication,
        capabilities=DeviceCapabilities(iot_edge=iot_edge),
        status_reason=status_reason,
        device_scope=device_scope,
        parent_scopes=[parent_scopes] if isinstance(parent_scopes, str) else parent_scopes,
    )


def _module(device_id: str, module_id: str, managed_by: str | None, authentication: AuthenticationMechanism) -> Module:
    return Module(device_id=device_id, module_id=module_id, managed_by=managed_by, authentication=authentication)
