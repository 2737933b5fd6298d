"""The REST interface below the managers."""

from azure.iot.hub.protocol.iot_hub_gateway_service_ap_is import IotHubGatewayServiceAPIs
from azure.iot.hub.protocol.version import VERSION

__all__ = ["VERSION", "IotHubGatewayServiceAPIs"]
