"""Shared access signatures, made here or read from a text.

    SharedAccessSignature sr=<resource>&sig=<signature>&se=<seconds since 1970>[&skn=<policy>]

https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas
"""

from __future__ import annotations

import time
from urllib.parse import quote, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.device.auth.signing_mechanism import SigningMechanism

REQUIRED_SASTOKEN_FIELDS = ["sr", "sig", "se"]
VALID_SASTOKEN_FIELDS = [*REQUIRED_SASTOKEN_FIELDS, "skn"]

_PREFIX = "SharedAccessSignature "


class SasTokenError(Exception):
    """A token that can't be made or read."""


class RenewableSasToken:
    """A token that can be made anew whenever it is needed; `str()` gives its text.

    - `uri`: what it is for, such as `host/devices/device`
    - `signing_mechanism`: what signs it
    - `key_name`: the policy whose key signs; None for a device's own key
    - `ttl`: seconds it is valid for

    Raises SasTokenError if it can't be signed.
    """

    def __init__(
        self, uri: str, signing_mechanism: SigningMechanism, key_name: str | None = None, ttl: float = 3600
    ) -> None:
        self._uri = uri
        self._signing_mechanism = signing_mechanism
        self._key_name = key_name
        self.ttl = ttl
        self.refresh()

    def refresh(self) -> None:
        """Make it anew, valid for `ttl` seconds from now."""
        expires = int(time.time() + self.ttl)
        resource = quote(self._uri, safe="")
        try:
            signature = quote(self._signing_mechanism.sign(f"{resource}\n{expires}"), safe="")
        except Exception as error:
            raise SasTokenError("Unable to build SasToken from given values") from error
        policy = f"&skn={self._key_name}" if self._key_name else ""
        self._expiry_time = expires
        self._token = f"{_PREFIX}sr={resource}&sig={signature}&se={expires}{policy}"

    @property
    def expiry_time(self) -> int:
        """When it expires, seconds since 1970."""
        return self._expiry_time

    def __str__(self) -> str:
        return self._token


class NonRenewableSasToken:
    """A token that someone else has made; `str()` gives its text. Raises SasTokenError if it is none."""

    def __init__(self, sastoken_string: str) -> None:
        self._token = sastoken_string
        self._token_info = get_sastoken_info_from_string(sastoken_string)

    @property
    def expiry_time(self) -> int:
        """When it expires, seconds since 1970. Raises ValueError if `se` is no number."""
        return int(self._token_info["se"])

    @property
    def resource_uri(self) -> str:
        """What it is for, decoded."""
        return unquote(self._token_info["sr"])

    def __str__(self) -> str:
        return self._token


def get_sastoken_info_from_string(sastoken_string: str) -> dict[str, str]:
    """The fields as they stand in the text. Raises SasTokenError, never with the token in its text."""
    parts = sastoken_string.split(_PREFIX)
    if len(parts) != 2:
        raise SasTokenError("Invalid SasToken string: Not a SasToken ")
    pairs = [field.split("=", 1) for field in parts[1].strip().split("&")]
    if any(len(pair) != 2 for pair in pairs):
        raise SasTokenError("Invalid SasToken string: Incorrectly formatted")
    fields = dict(pairs)
    if not all(name in fields for name in REQUIRED_SASTOKEN_FIELDS):
        raise SasTokenError("Invalid SasToken string: Not all required fields present")
    if not all(name in VALID_SASTOKEN_FIELDS for name in fields):
        raise SasTokenError("Invalid SasToken string: Unexpected fields present")
    return fields
