"""How provisioning clients are made, synchronous and asyncio alike, and what they register with.

Nothing is sent by making a client. Both factories take these keyword arguments:

- `server_verification_cert`: str, certificates in PEM to trust instead of the system's
- `gateway_hostname`: str, connect here instead
- `websockets` (False): speak MQTT within a WebSocket, on port 443; `proxy_options`: the `ProxyOptions` to connect
  through
- `cipher`: str or list of str, OpenSSL's names of the TLS 1.2 cipher suites to offer
- `keep_alive`: seconds of silence after which the service is asked whether it is there, 60, at most 1740
- `sastoken_ttl`: seconds a token is valid for, 3600; not with a certificate

They raise TypeError and ValueError for what can't be used, and ssl.SSLError for a certificate, key or cipher.
https://learn.microsoft.com/azure/iot-dps/concepts-service
"""

from __future__ import annotations

import sys

from ferrohub._frames import one_frame
from ferrohub._native import ProvisioningClient
from ferrohub.device import exceptions
from ferrohub.device._errors import translated
from ferrohub.provisioning.options import ProvisioningOptions
from ferrohub.provisioning.registration_result import RegistrationResult, RegistrationState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from ferrohub._native import Operation
    from ferrohub.device.x509 import X509

    Client = TypeVar("Client", bound="AbstractProvisioningDeviceClient")

REGISTER_TIMEOUT = 600.0
"""Seconds for the service to decide."""
LOGGER = "azure.iot.device.provisioning.abstract_provisioning_device_client"
"""Where programs look for "Successfully registered with Provisioning Service"."""


class AbstractProvisioningDeviceClient:
    """A client of the Device Provisioning Service."""

    def __init__(self, core: ProvisioningClient) -> None:
        self._core = core
        self._provisioning_payload: Any = None

    @classmethod
    def _create(cls: type[Client], options: ProvisioningOptions) -> Client:
        with translated():
            return cls(ProvisioningClient(options))

    @classmethod
    @one_frame
    def create_from_symmetric_key(
        cls: type[Client],
        provisioning_host: str,
        registration_id: str,
        id_scope: str,
        symmetric_key: str | bytes,
        **kwargs: Any,
    ) -> Client:
        """Make a client that has a key: that of its own enrollment, or derived from its group's.

        The key is base64. A device of an enrollment group has base64(HMAC-SHA256(group's key, registration id)), which
        `ferrohub dps derive-key` prints. Keyword arguments as this module says.
        https://learn.microsoft.com/azure/iot-dps/concepts-symmetric-key-attestation
        """
        options = ProvisioningOptions.from_symmetric_key(
            provisioning_host, registration_id, id_scope, symmetric_key, kwargs
        )
        return cls._create(options)

    @classmethod
    @one_frame
    def create_from_x509_certificate(
        cls: type[Client], provisioning_host: str, registration_id: str, id_scope: str, x509: X509, **kwargs: Any
    ) -> Client:
        """Make a client that shows a certificate.

        The files are read now: raises FileNotFoundError and other OSErrors. Keyword arguments as this module says.
        https://learn.microsoft.com/azure/iot-dps/concepts-x509-attestation
        """
        return cls._create(
            ProvisioningOptions.from_x509_certificate(provisioning_host, registration_id, id_scope, x509, kwargs)
        )

    @property
    def provisioning_payload(self) -> Any:
        """What the device tells the service about itself, for a custom allocation policy; None at first.

        Anything that JSON can hold; objects are sent as their attributes. `{"modelId": "dtmi:…"}` names a plug and
        play model.
        """
        return self._provisioning_payload

    @provisioning_payload.setter
    def provisioning_payload(self, provisioning_payload: Any) -> None:
        self._provisioning_payload = provisioning_payload

    def _register_operation(self, timeout: float | None) -> Operation:
        import json  # here, because it would cost more than the rest of `import azure.iot.device`

        try:
            payload = json.dumps(self._provisioning_payload, default=vars, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise exceptions.ClientError(f"Unexpected failure: {error}") from error
        operation = self._core.register(payload.encode(), timeout)
        _log("Registering with Provisioning Service...")
        return operation


def registered(answer: bytes) -> RegistrationResult:
    """The service's last answer as programs see it."""
    import json

    body = json.loads(answer)
    state = body.get("registrationState") or {}
    _log("Successfully registered with Provisioning Service")
    return RegistrationResult(
        body.get("operationId"),
        body["status"],
        RegistrationState(
            device_id=state.get("deviceId"),
            assigned_hub=state.get("assignedHub"),
            sub_status=state.get("substatus"),
            created_date_time=state.get("createdDateTimeUtc"),
            last_update_date_time=state.get("lastUpdatedDateTimeUtc"),
            etag=state.get("etag"),
            payload=state.get("payload"),
        ),
    )


def _log(line: str) -> None:
    """A line for programs that log: those have imported logging."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(LOGGER).info(line)
