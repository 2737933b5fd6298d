"""Certificates and proxies."""

from azure.iot.device.common.models.proxy_options import ProxyOptions as ProxyOptions
from azure.iot.device.common.models.x509 import X509 as X509
