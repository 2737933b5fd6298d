"""What the provisioning service answers to a device that registers.

https://learn.microsoft.com/rest/api/iot-dps/device/runtime-registration/register-device
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RegistrationState:
    """Where the device belongs. Nothing of it can be changed.

    - `device_id`, `assigned_hub` (a host name): str
    - `sub_status`: str, such as "initialAssignment"
    - `created_date_time`, `last_update_date_time`: str as the service writes times
    - `etag`: str
    """

    def __init__(
        self,
        device_id: str | None = None,
        assigned_hub: str | None = None,
        sub_status: str | None = None,
        created_date_time: str | None = None,
        last_update_date_time: str | None = None,
        etag: str | None = None,
        payload: Any = None,
    ) -> None:
        self._device_id = device_id
        self._assigned_hub = assigned_hub
        self._sub_status = sub_status
        self._created_date_time = created_date_time
        self._last_update_date_time = last_update_date_time
        self._etag = etag
        self._response_payload = payload

    @property
    def device_id(self) -> str | None:
        """The device's id, which the service may have chosen."""
        return self._device_id

    @property
    def assigned_hub(self) -> str | None:
        """The host name of the hub to connect to."""
        return self._assigned_hub

    @property
    def sub_status(self) -> str | None:
        """How the hub was assigned."""
        return self._sub_status

    @property
    def created_date_time(self) -> str | None:
        """When the registration was made."""
        return self._created_date_time

    @property
    def last_update_date_time(self) -> str | None:
        """When it was last changed."""
        return self._last_update_date_time

    @property
    def etag(self) -> str | None:
        """The version of the registration."""
        return self._etag

    @property
    def response_payload(self) -> str:
        """What a custom allocation policy has returned: always a JSON text, `null` when there is none."""
        import json  # here, because it would cost more than the rest of `import azure.iot.device`

        return json.dumps(self._response_payload, default=vars, sort_keys=True)

    def __str__(self) -> str:
        # The official class raises TypeError here while something is missing; a print should not.
        lines = [self.device_id, self.assigned_hub, self.sub_status, self.response_payload]
        return "\n".join(map(str, lines))


class RegistrationResult:
    """The outcome of a registration. Nothing of it can be changed."""

    def __init__(self, operation_id: str, status: str, registration_state: RegistrationState | None = None) -> None:
        self._operation_id = operation_id
        self._status = status
        self._registration_state = registration_state

    @property
    def operation_id(self) -> str:
        """Which registration this was."""
        return self._operation_id

    @property
    def status(self) -> str:
        """`assigned`, or why not."""
        return self._status

    @property
    def registration_state(self) -> RegistrationState | None:
        """Where the device belongs, if assigned."""
        return self._registration_state

    def __str__(self) -> str:
        return f"{self.registration_state}\n{self.status}"
