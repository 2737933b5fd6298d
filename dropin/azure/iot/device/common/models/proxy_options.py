"""Proxies."""

from ferrohub.device.proxy_options import ProxyOptions as ProxyOptions
