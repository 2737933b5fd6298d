"""What a provisioning client is made from, checked as the official package does."""

from __future__ import annotations

from ferrohub.device.connection_options import DEFAULTS, ConnectionOptions, required_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub.device.x509 import X509


class ProvisioningOptions(ConnectionOptions):
    """The options of one client, read field by field by the core. Raises TypeError and ValueError for what can't be."""

    def __init__(
        self,
        provisioning_host: str,
        registration_id: str,
        id_scope: str,
        arguments: dict[str, Any],
        *excluded: str,
    ) -> None:
        if not registration_id or (isinstance(registration_id, str) and not registration_id.strip()):
            raise ValueError("Registration Id can not be none, empty or blank.")
        super().__init__(arguments, DEFAULTS, excluded, "Unsupported keyword argument '{}'")
        self.provisioning_host = required_text("provisioning_host", provisioning_host)
        self.registration_id = required_text("registration_id", registration_id)
        self.id_scope = required_text("id_scope", id_scope)

    @classmethod
    def from_symmetric_key(
        cls,
        provisioning_host: str,
        registration_id: str,
        id_scope: str,
        symmetric_key: str | bytes,
        arguments: dict[str, Any],
    ) -> ProvisioningOptions:
        """The key is base64."""
        options = cls(provisioning_host, registration_id, id_scope, arguments)
        options._use_key(symmetric_key)
        options._use_rest()
        return options

    @classmethod
    def from_x509_certificate(
        cls, provisioning_host: str, registration_id: str, id_scope: str, x509: X509, arguments: dict[str, Any]
    ) -> ProvisioningOptions:
        """Reads the certificate's files. Raises OSError too, such as FileNotFoundError."""
        options = cls(provisioning_host, registration_id, id_scope, arguments, "sastoken_ttl")
        options._use_certificate(x509)
        options._use_rest()
        return options

    def _use_rest(self) -> None:
        self._use_values()
        self._use_certificates()
