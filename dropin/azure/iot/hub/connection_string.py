"""Connection strings, to read parts from."""

from ferrohub.service.authentication import ServiceConnectionString as ConnectionString

__all__ = ["ConnectionString"]
