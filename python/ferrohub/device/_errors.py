"""The one place where an error of the core becomes the exception that programs know.

The text is the official sentence, then what happened and what to do about it; the causes follow as `__cause__`.
"""

from __future__ import annotations

from ferrohub._native import CoreError
from ferrohub.device import exceptions
from ferrohub.device import internal_exceptions as internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ferrohub._native import Operation

    Sentences = Mapping[str, str]

# kind of the core -> public class, the official sentence, the class of the cause
_KINDS: dict[str, tuple[type[Exception], str, type[Exception]]] = {
    "connection_dropped": (
        exceptions.ConnectionDroppedError,
        "Lost connection to IoTHub",
        internal.ConnectionDroppedError,
    ),
    "connection_failed": (
        exceptions.ConnectionFailedError,
        "Could not connect to IoTHub",
        internal.ConnectionFailedError,
    ),
    "not_connected": (
        exceptions.NoConnectionError,
        "Client is not connected to IoTHub",
        internal.NoConnectionError,
    ),
    "unauthorized": (
        exceptions.CredentialError,
        "Credentials invalid, could not connect",
        internal.UnauthorizedError,
    ),
    "protocol": (exceptions.ProtocolError, "Error in the IoTHub client", internal.ProtocolClientError),
    "tls": (
        exceptions.TlsError,
        "Error in the IoTHub client due to TLS exchanges.",
        internal.TlsExchangeAuthError,
    ),
    "proxy": (
        exceptions.ProxyError,
        "Error in the IoTHub client raised due to proxy connections.",
        internal.ProtocolProxyError,
    ),
    "cancelled": (
        exceptions.OperationCancelled,
        "Operation was cancelled before completion",
        internal.OperationCancelled,
    ),
    "timeout": (
        exceptions.OperationTimeout,
        "Could not complete operation before timeout",
        internal.OperationTimeout,
    ),
    "no_answer": (exceptions.NoAnswerError, "Unexpected failure", exceptions.ServiceError),
}
_NO_OTHERS: Sentences = {}

# What no official package knows has no official sentence.
_OUTBOX: dict[str, type[Exception]] = {"outbox": exceptions.OutboxError, "outbox_full": exceptions.OutboxFullError}


class translated:  # noqa: N801 - reads as `with translated():`
    """Within it, errors of the core become public ones; `sentences` are other ones for some kinds."""

    def __init__(self, sentences: Sentences = _NO_OTHERS) -> None:
        self._sentences = sentences

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, CoreError):
            failure = public_error(error, self._sentences)
            raise failure from failure.__cause__


def wait(operation: Operation, sentences: Sentences = _NO_OTHERS) -> Any:
    """Wait for an operation of the core; its errors become public ones."""
    with translated(sentences):
        return operation.wait()


def outcomes(results: list[tuple[str, str, list[str]] | None]) -> list[Exception | None]:
    """What users get for each of many: None if it was done, else the exception that doing it alone would raise."""
    return [None if parts is None else public_error(CoreError(*parts)) for parts in results]


def public_error(error: CoreError, sentences: Sentences = _NO_OTHERS) -> Exception:
    """The exception that programs know, with its cause."""
    failure, cause = _public(*error.args, sentences)
    failure.__cause__ = cause
    return failure


def _public(kind: str, message: str, causes: list[str], sentences: Sentences) -> tuple[Exception, Exception | None]:
    detail = ": ".join([message, *causes])
    if kind in _KINDS:
        public, sentence, cause = _KINDS[kind]
        return public(f"{sentences.get(kind, sentence)}: {detail}"), cause(detail)
    if kind in _OUTBOX:
        return _OUTBOX[kind](detail), None
    if kind == "shut_down":
        return exceptions.ShutDownError(message), None
    if kind.startswith("service "):
        refused = exceptions.ServiceError(message, status=int(kind.removeprefix("service ")))
        return exceptions.ClientError(f"Unexpected failure: {message}"), refused
    if kind == "unsendable":
        return exceptions.ClientError(f"Unexpected failure: {detail}"), ValueError(detail)
    if kind == "invalid_key":
        return ValueError(f"Invalid Symmetric Key: {detail}"), None
    if kind == "tls_option":
        import ssl  # here: it is heavy, and the core has no need of it

        return ssl.SSLError(1, detail), None
    return ValueError(detail), None
