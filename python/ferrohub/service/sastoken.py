"""Shared access signatures of services, for programs that make their own requests.

The managers need none of this: the core signs their requests.
https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from urllib.parse import quote, quote_plus


class SasTokenError(Exception):
    """A token that can't be made; `cause` is why."""

    def __init__(self, message: str, cause: Exception | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class SasToken:
    """A token for a resource; `str()` gives its text.

    - `uri`: what it is for, such as a hub's host name
    - `key`: what signs it, base64
    - `key_name`: the policy whose key that is; None for a device's own key
    - `ttl`: seconds it is valid for

    `expiry_time` is in seconds since 1970. Raises SasTokenError if the key is not base64.
    """

    def __init__(self, uri: str, key: str, key_name: str | None = None, ttl: int = 3600) -> None:
        self._uri = quote_plus(uri)
        self._key = key
        self._key_name = key_name
        self.ttl = ttl
        self.refresh()

    def refresh(self) -> None:
        """Make it anew, valid for `ttl` seconds from now."""
        self.expiry_time = int(time.time() + self.ttl)
        try:
            key = base64.b64decode(self._key)
        except (TypeError, binascii.Error) as error:
            raise SasTokenError("Unable to build SasToken from given values", error) from error
        signed = hmac.new(key, f"{self._uri}\n{self.expiry_time}".encode(), hashlib.sha256).digest()
        signature = quote(base64.b64encode(signed))
        policy = f"&skn={self._key_name}" if self._key_name else ""
        self._token = f"SharedAccessSignature sr={self._uri}&sig={signature}&se={self.expiry_time}{policy}"

    def __str__(self) -> str:
        return self._token

    def __repr__(self) -> str:
        return f"<SasToken for {self._uri}, valid until {self.expiry_time}>"
