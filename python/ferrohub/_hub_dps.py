"""`LocalHub.dps`: who may register with the hub's provisioning service, and who has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Ask = Callable[..., "tuple[Any, Exception | None]"]


@dataclass(frozen=True)
class Registered:
    """A device that has registered."""

    registration_id: str
    device_id: str
    """The device of the hub's that was made for it."""
    substatus: str
    """How it came to its hub, such as "initialAssignment"."""
    payload: Any
    """What it said about itself: its `provisioning_payload`."""


@dataclass(frozen=True)
class Enrollment:
    """Who may register: a device, or a group of devices."""

    id: str
    """The registration id, or the group's name."""
    group: bool
    primary_key: str | None = field(repr=False)
    """Base64; None if devices have certificates."""
    secondary_key: str | None = field(repr=False)
    status: str
    """"enabled" or "disabled"."""
    registrations: Sequence[Registered]
    """The devices that have registered by it."""

    def device_key(self, registration_id: str) -> str:
        """The key that a device registers with: for a group, derived from the group's.

        Raises:
            ValueError: Devices have certificates.
        """
        if self.primary_key is None:
            raise ValueError(f"the devices of {self.id!r} have certificates, not keys")
        return derive_key(self.primary_key, registration_id) if self.group else self.primary_key


def derive_key(group_key: str, registration_id: str) -> str:
    """The key of a device in an enrollment group, both in base64.

    https://learn.microsoft.com/azure/iot-dps/concepts-symmetric-key-attestation#group-enrollments
    """
    import base64
    import hmac

    digest = hmac.new(base64.b64decode(group_key), registration_id.encode(), "sha256").digest()
    return base64.b64encode(digest).decode()


class Dps:
    """The provisioning service of a hub.

        key = hub.dps.enroll("sensor-1").device_key("sensor-1")
        client = ProvisioningDeviceClient.create_from_symmetric_key(
            hub.provisioning_host, "sensor-1", hub.id_scope, key
        )
        client.register()

    Devices that register are made in this hub. With `data` the hub keeps enrollments and registrations.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def enroll(
        self,
        id: str,  # noqa: A002 - what Azure calls it
        *,
        group: bool = False,
        primary_key: str | None = None,
        secondary_key: str | None = None,
        certificate: str | bytes | None = None,
        device_id: str | None = None,
        initial_twin: Mapping[str, Any] | None = None,
        iot_edge: bool = False,
        reprovision: str = "migrate",
        status: str = "enabled",
        payload: Any = None,
    ) -> Enrollment:
        """Enroll a device or a group; an enrollment of the same name is replaced.

        Args:
            id: The device's registration id, or the group's name: letters, digits and `- . _ :`.
            group: Any number of devices may register by it, each with a registration id of its own.
            primary_key: Base64 of 16 to 64 bytes. Keys are made unless given, or unless there is a certificate. Devices
                of a group have keys derived from it: see `Enrollment.device_key`.
            secondary_key: Another, as good as the first.
            certificate: PEM: the device's own certificate, or the CAs of a group, whose devices show a certificate with
                their registration id as the common name.
            device_id: The device to make, if it is not to have the name of the registration. Not for groups.
            initial_twin: `{"tags": {...}, "properties": {"desired": {...}}}` of a device that is made.
            iot_edge: Make IoT Edge devices.
            reprovision: What becomes of a device that registers again. "migrate": it keeps its twin, and gets the
                enrollment's credentials. "reset": it is made anew. "never": it stays as it is.
            status: "disabled": devices are told so, and get no hub.
            payload: What devices get as the payload of a custom allocation policy: anything that JSON can hold.

        Raises:
            ValueError: Something of it can't be.
        """
        credentials = {
            "primaryKey": primary_key,
            "secondaryKey": secondary_key,
            "certificate": certificate.decode() if isinstance(certificate, bytes) else certificate,
        }
        terms = {
            "group": group,
            "deviceId": device_id,
            "initialTwin": initial_twin,
            "iotEdge": iot_edge,
            "reprovision": reprovision,
            "status": status,
            "payload": payload,
        }
        answer, error = self._ask(call="enroll", name=id, enrollment={"credentials": credentials, "terms": terms})
        if error is not None:
            raise error
        return _enrollment(answer)

    def enrollments(self) -> list[Enrollment]:
        """All enrollments, in the order of their names, with the devices that have registered by each."""
        answer, error = self._ask(call="enrollments")
        if error is not None:
            raise error
        return [_enrollment(enrollment) for enrollment in answer]

    def enrollment(self, id: str) -> Enrollment:  # noqa: A002
        """One enrollment, with the devices that have registered by it.

        Raises:
            LookupError: There is none of this name.
        """
        answer, error = self._ask(call="enrollments")
        if error is not None:
            raise error
        found = [enrollment for enrollment in answer if enrollment["id"].lower() == id.lower()]
        if not found:
            raise LookupError(f"the provisioning service has no enrollment {id}")
        return _enrollment(found[0])

    def remove(self, id: str) -> None:  # noqa: A002
        """Remove an enrollment and its registrations; devices that were made stay.

        Raises:
            LookupError: There is none of this name.
        """
        if (error := self._ask(call="remove_enrollment", name=id)[1]) is not None:
            raise error


def _enrollment(answer: dict[str, Any]) -> Enrollment:
    registrations = [
        Registered(found["registrationId"], found["deviceId"], found["substatus"], found["payload"])
        for found in answer["registrations"]
    ]
    return Enrollment(
        answer["id"],
        answer["group"],
        answer["primaryKey"],
        answer["secondaryKey"],
        answer["status"],
        registrations,
    )
