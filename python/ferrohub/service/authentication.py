"""Who a service client is: the connection string of a policy, or a token credential of Azure AD.

The core signs requests with the policy's key; here the connection string is checked, with the exceptions
programs know and a sentence on what to do.
https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas
"""

from __future__ import annotations

import binascii
import time

from ferrohub._connection_strings import SERVICE_FORM, WrongConnectionStringError, parse

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

_NEEDED = (
    f"{SERVICE_FORM}. Copy it from `ferrohub up` for a local hub, or from the Azure portal (IoT Hub, Shared access"
    " policies)"
)
# How the official package says it.
_NO_EQUALS_SIGN = "dictionary update sequence element #{part} has length 1; 2 is required"


class SharedAccessPolicy:
    """Host, policy name and key of a service's connection string."""

    def __init__(self, connection_string: Any) -> None:
        values = parse(_text(connection_string), _NEEDED, _NO_EQUALS_SIGN)
        if "SharedAccessKeyName" not in values:
            party = "a module" if "ModuleId" in values else "a device"
            raise WrongConnectionStringError(
                f"'SharedAccessKeyName': this is the connection string of {party}. A service needs that of a"
                f" shared access policy of the hub: {_NEEDED}"
            )
        self.host_name = values["HostName"]
        self.policy_name = values["SharedAccessKeyName"]
        self.key = _checked_key(values["SharedAccessKey"])

    def headers(self) -> list[tuple[str, str]]:
        """None: the core signs each request."""
        return []


def _text(connection_string: Any) -> str:
    if isinstance(connection_string, str):
        return connection_string
    official = 'can only concatenate str (not "NoneType") to str: ' if connection_string is None else ""
    kind = type(connection_string).__name__
    raise TypeError(f"{official}the connection string must be a str, not {kind}")


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
