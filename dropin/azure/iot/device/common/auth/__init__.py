"""Tools for connection strings and shared access signatures."""

from azure.iot.device.common.auth import connection_string as connection_string
from azure.iot.device.common.auth import sastoken as sastoken
from azure.iot.device.common.auth.signing_mechanism import SymmetricKeySigningMechanism as SymmetricKeySigningMechanism
