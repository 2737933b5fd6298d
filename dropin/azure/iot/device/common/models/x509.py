"""Certificates."""

from ferrohub.device.x509 import X509 as X509
