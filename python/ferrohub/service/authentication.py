"""Who a service client is: the connection string of a policy, or a token credential of Azure AD.

The core signs requests with the policy's key; here the connection string is checked, with the exceptions
programs know and a sentence on what to do.
https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas
"""

from __future__ import annotations

import binascii
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class AccessToken(Protocol):
        """What a credential hands out: the token and when it expires (seconds since 1970)."""

        @property
        def token(self) -> str:
            """The token itself."""

        @property
        def expires_on(self) -> int:
            """Seconds since 1970."""

    class TokenCredential(Protocol):
        """Any credential of azure-identity, or another object with this method."""

        def get_token(self, *scopes: str) -> AccessToken:
            """A token that is good for these scopes."""


TOKEN_SCOPE = "https://iothubs.azure.net/.default"  # noqa: S105 - a scope is no secret
_RENEW_BEFORE_SECONDS = 300

_KEYS = (
    "HostName",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "SharedAccessSignature",
    "DeviceId",
    "ModuleId",
    "GatewayHostName",
)
_FORM = "HostName=<hub>.azure-devices.net;SharedAccessKeyName=<policy>;SharedAccessKey=<key>"
_WHERE = (
    "Copy it from `ferrohub up` for a local hub, or from the Azure portal (IoT Hub, Shared access policies)."
)


class WrongConnectionStringError(KeyError):
    """A device's or module's connection string was given where a service's is needed."""

    def __str__(self) -> str:
        return str(self.args[0])


def parse_connection_string(text: Any) -> dict[str, str]:
    """The parts of a connection string of any kind.

    Raises TypeError for anything but a str, ValueError if it is none. No text ever repeats a part: it might
    be the key.
    """
    if not isinstance(text, str):
        # The words programs see from the official package for None.
        official = 'can only concatenate str (not "NoneType") to str: ' if text is None else ""
        raise TypeError(f"{official}the connection string must be a str, not {type(text).__name__}")
    parts = [part.split("=", 1) for part in text.split(";")]
    for number, part in enumerate(parts):
        if len(part) != 2:
            what = f"part {number + 1} of the connection string has no '='"
            if len(parts) == 1:
                what = "this is no connection string; is the placeholder still there?"
            raise ValueError(
                f"dictionary update sequence element #{number} has length 1; 2 is required: {what}"
                f" The form is {_FORM}. {_WHERE}"
            )
    values = dict(parts)
    if len(values) != len(parts):
        raise ValueError("Invalid Connection String - Unable to parse: a key stands twice")
    for number, (key, _) in enumerate(parts):
        if key not in _KEYS:
            raise ValueError(f"Invalid Connection String - Invalid Key: {_misspelt(key, number)}")
    _check_complete(values)
    return values


def _misspelt(key: str, number: int) -> str:
    """What to say of an unknown key. One that is not nearly a known one may be a secret: it isn't shown."""
    for known in _KEYS:
        if key.strip().lower() == known.lower():
            return f"{key!r} must be written {known!r}"
    return f"part {number + 1} begins with none of {', '.join(_KEYS)}"


def _check_complete(values: dict[str, str]) -> None:
    needed = ["HostName", "SharedAccessKeyName", "SharedAccessKey"]
    if values.get("DeviceId"):
        needed.remove("SharedAccessKeyName")
    missing = [name for name in needed if not values.get(name)]
    if missing:
        raise ValueError(f"Invalid Connection String - Incomplete: {', '.join(missing)} is missing or empty")


class SharedAccessPolicy:
    """Host, policy name and key of a service's connection string."""

    def __init__(self, connection_string: Any) -> None:
        values = parse_connection_string(connection_string)
        if not values.get("SharedAccessKeyName"):
            party = "a module" if values.get("ModuleId") else "a device"
            raise WrongConnectionStringError(
                f"'SharedAccessKeyName': this is the connection string of {party}. A service needs that of a"
                f" shared access policy of the hub: {_FORM}. {_WHERE}"
            )
        self.host_name = values["HostName"]
        self.policy_name = values["SharedAccessKeyName"]
        self.key = _checked_key(values["SharedAccessKey"])

    def headers(self) -> list[tuple[str, str]]:
        """None: the core signs each request."""
        return []


def _checked_key(key: str) -> str:
    """The key if it is base64, as leniently read as `base64.b64decode` does."""
    try:
        binascii.a2b_base64(key)
    except binascii.Error as error:
        raise binascii.Error(
            f"{error}: the SharedAccessKey is not base64; copy the connection string again, as a whole"
        ) from None
    return key


class TokenAuthorization:
    """Bearer tokens of a credential, asked for when the last has less than five minutes left."""

    policy_name: str | None = None
    key: str | None = None

    def __init__(self, host_name: str, credential: TokenCredential) -> None:
        self.host_name = host_name
        self._get_token = credential.get_token
        self._token: AccessToken | None = None

    def headers(self) -> list[tuple[str, str]]:
        """The Authorization header with a token that is good for some minutes."""
        if self._token is None or self._token.expires_on - time.time() < _RENEW_BEFORE_SECONDS:
            self._token = self._get_token(TOKEN_SCOPE)
        return [("Authorization", f"Bearer {self._token.token}")]
