"""The tree of exceptions, and that every `except` that ever worked with the official package works here."""

from __future__ import annotations

import pytest
from azure.iot.device import exceptions
from azure.iot.device.common import transport_exceptions
from azure.iot.device.common.auth.sastoken import SasTokenError
from azure.iot.device.common.pipeline import pipeline_exceptions
from azure.iot.device.iothub.edge_hsm import IoTEdgeError
from ferrohub._native import CoreError
from ferrohub.device._errors import public_error

BASES = {
    "OperationCancelled": Exception,
    "OperationTimeout": Exception,
    "ClientError": Exception,
    "ConnectionFailedError": exceptions.ClientError,
    "ConnectionDroppedError": exceptions.ClientError,
    "NoConnectionError": exceptions.ClientError,
    "CredentialError": exceptions.ClientError,
    "ServiceError": Exception,
}


@pytest.mark.parametrize("name", BASES)
def test_each_public_exception_takes_a_text_and_has_its_base(name: str) -> None:
    exception = getattr(exceptions, name)
    assert issubclass(exception, BASES[name])
    assert str(exception("a text")) == "a text"
    assert str(exception()) == ""


@pytest.mark.parametrize("name", ["ServiceError", "OperationCancelled", "OperationTimeout"])
def test_these_are_no_client_errors(name: str) -> None:
    assert not issubclass(getattr(exceptions, name), exceptions.ClientError)


@pytest.mark.parametrize(
    ("public", "internal"),
    [
        (exceptions.ConnectionFailedError, transport_exceptions.ConnectionFailedError),
        (exceptions.ConnectionDroppedError, transport_exceptions.ConnectionDroppedError),
        (exceptions.NoConnectionError, transport_exceptions.NoConnectionError),
        (exceptions.CredentialError, transport_exceptions.UnauthorizedError),
        (exceptions.OperationCancelled, pipeline_exceptions.OperationCancelled),
        (exceptions.OperationTimeout, pipeline_exceptions.OperationTimeout),
    ],
)
def test_what_catches_the_internal_class_catches_the_public_one(
    public: type[Exception], internal: type[Exception]
) -> None:
    assert issubclass(public, internal)
    assert public is not internal


def test_the_internal_exceptions_have_their_bases() -> None:
    for name in ("UnauthorizedError", "ProtocolClientError", "TlsExchangeAuthError", "ProtocolProxyError"):
        assert getattr(transport_exceptions, name).__bases__ == (Exception,)
    for name in ("OperationCancelled", "OperationTimeout", "OperationError"):
        assert getattr(pipeline_exceptions, name).__bases__ == (pipeline_exceptions.PipelineException,)
    for name in ("PipelineNotRunning", "PipelineRuntimeError"):
        assert getattr(pipeline_exceptions, name).__bases__ == (pipeline_exceptions.PipelineException,)
    assert pipeline_exceptions.PipelineException.__bases__ == (Exception,)
    assert (SasTokenError.__bases__, IoTEdgeError.__bases__) == ((Exception,), (Exception,))


PUBLIC = {
    "connection_dropped": ("ConnectionDroppedError", "Lost connection to IoTHub", "ConnectionDroppedError"),
    "connection_failed": ("ConnectionFailedError", "Could not connect to IoTHub", "ConnectionFailedError"),
    "not_connected": ("NoConnectionError", "Client is not connected to IoTHub", "NoConnectionError"),
    "unauthorized": ("CredentialError", "Credentials invalid, could not connect", "UnauthorizedError"),
    "protocol": ("ClientError", "Error in the IoTHub client", "ProtocolClientError"),
    "tls": ("ClientError", "Error in the IoTHub client due to TLS exchanges.", "TlsExchangeAuthError"),
    "proxy": ("ClientError", "Error in the IoTHub client raised due to proxy connections.", "ProtocolProxyError"),
    "cancelled": ("OperationCancelled", "Operation was cancelled before completion", "OperationCancelled"),
    "timeout": ("OperationTimeout", "Could not complete operation before timeout", "OperationTimeout"),
    "service 400": ("ClientError", "Unexpected failure", "ServiceError"),
    "unsendable": ("ClientError", "Unexpected failure", "ValueError"),
}


@pytest.mark.parametrize("kind", PUBLIC)
def test_each_kind_of_failure_has_its_official_class_sentence_and_cause(kind: str) -> None:
    name, sentence, cause = PUBLIC[kind]
    error = public_error(CoreError(kind, "what happened", ["why"]))
    assert isinstance(error, getattr(exceptions, name))
    assert str(error).startswith(f"{sentence}: what happened")
    assert cause in [cls.__name__ for cls in type(error.__cause__).__mro__]
    assert str(error.__cause__).startswith("what happened")
