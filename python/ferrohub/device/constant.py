"""Numbers and names of the device interface; programs import them as `azure.iot.device.constant`.

They say which interface this is. FerroHub's own version is `ferrohub.__version__`.
"""

from __future__ import annotations

VERSION = "2.14.0"
"""The version of `azure-iot-device` whose interface this is."""
IOTHUB_IDENTIFIER = "azure-iot-device-iothub-py"
PROVISIONING_IDENTIFIER = "azure-iot-device-provisioning-py"
IOTHUB_API_VERSION = "2019-10-01"
PROVISIONING_API_VERSION = "2019-03-31"
SECURITY_MESSAGE_INTERFACE_ID = "urn:azureiot:Security:SecurityAgent:1"
TELEMETRY_MESSAGE_SIZE_LIMIT = 262144
"""Bytes of a message with its properties, as `Message.get_size` counts them."""
MAX_KEEP_ALIVE_SECS = 1740
"""29 minutes: the longest keep-alive that Azure IoT Hub takes."""
DIGITAL_TWIN_PREFIX = "dtmi"
"""What a `product_info` begins with that is the id of a plug and play model."""
DIGITAL_TWIN_API_VERSION = "2020-09-30"
DIGITAL_TWIN_QUERY_HEADER = "model-id"
