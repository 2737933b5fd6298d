"""Connection strings of devices and modules."""

from ferrohub.device.auth.connection_string import CS_DELIMITER as CS_DELIMITER
from ferrohub.device.auth.connection_string import CS_VAL_SEPARATOR as CS_VAL_SEPARATOR
from ferrohub.device.auth.connection_string import DEVICE_ID as DEVICE_ID
from ferrohub.device.auth.connection_string import GATEWAY_HOST_NAME as GATEWAY_HOST_NAME
from ferrohub.device.auth.connection_string import HOST_NAME as HOST_NAME
from ferrohub.device.auth.connection_string import MODULE_ID as MODULE_ID
from ferrohub.device.auth.connection_string import SHARED_ACCESS_KEY as SHARED_ACCESS_KEY
from ferrohub.device.auth.connection_string import SHARED_ACCESS_KEY_NAME as SHARED_ACCESS_KEY_NAME
from ferrohub.device.auth.connection_string import SHARED_ACCESS_SIGNATURE as SHARED_ACCESS_SIGNATURE
from ferrohub.device.auth.connection_string import X509 as X509
from ferrohub.device.auth.connection_string import ConnectionString as ConnectionString

__all__ = ["ConnectionString"]
