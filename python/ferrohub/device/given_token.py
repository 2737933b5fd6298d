"""The token that a program gives its client, checked before it is sent: for whom it is, and for how long."""

from __future__ import annotations

import time

from ferrohub.device.auth.sastoken import NonRenewableSasToken, SasTokenError

_LATEST = 2**63 - 1


class GivenToken:
    """A token as it was given, and for whom it is. Raises ValueError, never with the token in its text."""

    def __init__(self, sastoken: str, *, of_module: bool) -> None:
        try:
            token = NonRenewableSasToken(sastoken)
        except SasTokenError as error:
            raise ValueError("Invalid SasToken provided") from error
        self.text = sastoken
        self.host_name, self.device_id, self.module_id = _identity(token.resource_uri)
        if of_module != (self.module_id is not None):
            raise ValueError(f"Provided SasToken is for a {'device' if of_module else 'module'}")
        self._token = token

    @property
    def expiry_time(self) -> int:
        """When it expires, seconds since 1970. Raises ValueError if that is no number."""
        return min(self._token.expiry_time, _LATEST)

    def check_expiry(self) -> None:
        """Raises ValueError if its time is over."""
        if self.expiry_time < int(time.time()):
            raise ValueError("Provided SasToken has already expired")

    def successor(self, sastoken: str) -> GivenToken:
        """Another token of the same client. Raises ValueError if it is none."""
        other = GivenToken(sastoken, of_module=self.module_id is not None)
        for name, part in (("device_id", "device id"), ("module_id", "module id"), ("host_name", "hostname")):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(f"Provided SasToken does not match existing {part}")
        other.check_expiry()
        return other


def _identity(resource: str) -> tuple[str, str, str | None]:
    """Host name, device id and module id of `host/devices/device[/modules/module]`."""
    parts = resource.split("/")
    if len(parts) not in (3, 5):
        raise ValueError("Invalid SAS URI")
    if parts[1] != "devices":
        raise ValueError("Cannot extract device id from SAS URI")
    if len(parts) == 3:
        return parts[0], parts[2], None
    if parts[3] != "modules":
        raise ValueError("Cannot extract module id from SAS URI")
    return parts[0], parts[2], parts[4]
