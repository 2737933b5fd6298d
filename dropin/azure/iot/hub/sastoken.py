"""Shared access signatures of services."""

from ferrohub.service.sastoken import SasToken, SasTokenError

__all__ = ["SasToken", "SasTokenError"]
