"""The classes that the official package uses inside and lets through now and then.

They are the bases of the public ones in `exceptions`, and the `__cause__` of what is raised; the face publishes
them under their old module names.
"""

from __future__ import annotations


class ConnectionFailedError(Exception):
    """No connection could be made."""


class ConnectionDroppedError(Exception):
    """The connection was lost."""


class NoConnectionError(Exception):
    """There is no connection."""


class UnauthorizedError(Exception):
    """The hub refused the credentials."""


class ProtocolClientError(Exception):
    """The hub refused the client, or said what no hub says."""


class TlsExchangeAuthError(Exception):
    """The hub's certificate is not trusted."""


class ProtocolProxyError(Exception):
    """The proxy let nothing through."""


class PipelineException(Exception):
    """Anything that ends an operation inside the client."""


class OperationCancelled(PipelineException):
    """The operation was cancelled."""


class OperationTimeout(PipelineException):
    """The operation did not complete in its time."""


class OperationError(PipelineException):
    """The operation failed."""


class PipelineRuntimeError(PipelineException):
    """The client can't do that, the way it was made."""


class PipelineNotRunning(PipelineException):
    """The client was shut down."""
