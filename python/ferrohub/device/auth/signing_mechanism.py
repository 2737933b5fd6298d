"""What signs a token: a shared access key here, something that keeps its key to itself in a program."""

from __future__ import annotations

import base64
import hashlib
import hmac
from abc import ABC, abstractmethod


class SigningMechanism(ABC):
    """Anything that signs."""

    @abstractmethod
    def sign(self, data_str: str | bytes) -> str:
        """The signature over a text, in base64."""


class SymmetricKeySigningMechanism(SigningMechanism):
    """Signs with a shared access key: HMAC-SHA256.

    `key` is base64, str or bytes. Raises ValueError if it is none.
    """

    def __init__(self, key: str | bytes) -> None:
        try:
            self._signing_key = base64.b64decode(key)
        except ValueError as error:
            raise ValueError("Invalid Symmetric Key") from error

    def sign(self, data_str: str | bytes) -> str:
        """The signature over a text, in base64."""
        data = data_str.encode() if isinstance(data_str, str) else data_str
        return base64.b64encode(hmac.new(self._signing_key, data, hashlib.sha256).digest()).decode()
