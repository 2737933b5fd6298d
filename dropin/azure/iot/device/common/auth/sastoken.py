"""Shared access signatures, made here or read from a text."""

from ferrohub.device.auth.sastoken import REQUIRED_SASTOKEN_FIELDS as REQUIRED_SASTOKEN_FIELDS
from ferrohub.device.auth.sastoken import VALID_SASTOKEN_FIELDS as VALID_SASTOKEN_FIELDS
from ferrohub.device.auth.sastoken import NonRenewableSasToken as NonRenewableSasToken
from ferrohub.device.auth.sastoken import RenewableSasToken as RenewableSasToken
from ferrohub.device.auth.sastoken import SasTokenError as SasTokenError
from ferrohub.device.auth.sastoken import get_sastoken_info_from_string as get_sastoken_info_from_string
