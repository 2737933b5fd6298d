"""The version of the REST interface."""

from ferrohub.service.operation import API_VERSION as VERSION

__all__ = ["VERSION"]
