"""What calls of device and module clients raise.

    OperationCancelled, OperationTimeout, ServiceError: Exception
    ClientError: Exception
        ConnectionFailedError, ConnectionDroppedError, NoConnectionError, CredentialError
        OutboxError, OutboxFullError: of clients with a `ferrohub.Outbox`

Some programs catch the internal classes that the official package lets through now and then. Each public class
here is one of those too, so that every `except` that ever worked catches it: see `internal_exceptions`.
https://learn.microsoft.com/python/api/azure-iot-device/azure.iot.device.exceptions
"""

from __future__ import annotations

from ferrohub.device import internal_exceptions as internal


class OperationCancelled(internal.OperationCancelled):
    """The operation was cancelled before it completed."""


class OperationTimeout(internal.OperationTimeout):
    """The operation did not complete in its time."""


class ServiceError(Exception):
    """The hub answered with an error; `status` is its code, as in HTTP."""

    def __init__(self, message: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ClientError(Exception):
    """The client can't do what was asked; the cause says why."""


class ConnectionFailedError(ClientError, internal.ConnectionFailedError):
    """No connection could be made."""


class ConnectionDroppedError(ClientError, internal.ConnectionDroppedError):
    """The connection was lost during the operation."""


class NoConnectionError(ClientError, internal.NoConnectionError):
    """There is no connection, and the client may not make one."""


class CredentialError(ClientError, internal.UnauthorizedError):
    """The hub refused the credentials."""


class ProtocolError(ClientError, internal.ProtocolClientError):
    """The hub refused the client, or said what no hub says. Programs see a ClientError."""


class TlsError(ClientError, internal.TlsExchangeAuthError):
    """The hub's certificate is not trusted. Programs see a ClientError."""


class ProxyError(ClientError, internal.ProtocolProxyError):
    """The proxy let nothing through. Programs see a ClientError."""


class OutboxError(ClientError):
    """The file of the outbox can't be used; the text says why and what to do."""


class OutboxFullError(OutboxError):
    """The outbox has no room for the message, which was not stored."""


class NoAnswerError(ClientError, OperationTimeout):
    """The service took a request and did not answer. Programs see a ClientError, as observed, and OperationTimeout."""


class ShutDownError(ClientError, internal.PipelineNotRunning):
    """The client was shut down. Programs see a ClientError, as documented, and PipelineNotRunning, as observed."""
