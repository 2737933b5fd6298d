"""What is raised when a request fails, and the only place that makes it.

    Exception
     ├── HttpOperationError        the hub answered with another status than a success; also msrest's class
     │    └── RetriesExhaustedError  ... with a retriable status, every time; also a ClientRequestError
     ├── ClientRequestError        no answer: refused, name unknown, TLS, time-out; also msrest's class
     ├── SerializationError        an argument does not fit its type: azure-core's class, a ValueError
     ├── DeserializationError      an answer does not fit its type: azure-core's class, a ValueError
     └── ValidationError           an argument is missing: msrest's class

Programs catch the classes of msrest and azure-core, so these are subclasses of them (or they themselves) where
those packages are installed. They are slow to import, hence the classes are made when first used: at the
first error, or when a program names one. Without the packages the classes stand alone.
https://learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes
"""

from __future__ import annotations

import importlib
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional

    from ferrohub.service.response import Response

_EXCERPT = 500


# --- the classes, made at first use ------------------------------------------------------------------------


class _RequestError(Exception):
    """The behaviour of both request errors: pickles, has the message, the answer and what msrest's classes have."""

    def __init__(self, message: str, response: Optional[Response] = None, cause: str = "") -> None:
        Exception.__init__(self, message)
        self.response = response
        self.inner_exception = _requests_error(cause, message, response)

    def __reduce__(self) -> tuple[Any, ...]:
        name = type(self).__name__
        return _rebuild, (name, self.args[0], self.response, type(self.inner_exception).__name__)


class _HttpOperationError(_RequestError):
    @property
    def message(self) -> str:
        """The same text as `str(error)`."""
        return str(self.args[0])

    @property
    def error(self) -> Any:
        """What went wrong, as the official packages tell it: an HTTPError, or the response if it was no failure."""
        failed = self.response is None or self.response.status_code >= 400
        return self.inner_exception if failed else self.response

    @property
    def code(self) -> str:
        """The hub's name of the error, such as `DeviceNotFound`; empty if it sent none."""
        return explain(self.response)[0] if self.response is not None else ""


def _rebuild(name: str, message: str, response: Optional[Response], cause: str) -> Exception:
    """Make an unpickled error again, with the classes of this process."""
    error: Exception = _class(name)(message, response, cause)
    return error


def _make_class(name: str) -> type[Exception]:
    if name == "RetriesExhaustedError":
        return type(name, (_class("HttpOperationError"), _class("ClientRequestError")), _namespace())
    if name in ("HttpOperationError", "ClientRequestError"):
        behaviour = _HttpOperationError if name == "HttpOperationError" else _RequestError
        return type(name, (behaviour, _official("msrest.exceptions", name, Exception)), _namespace())
    if name == "ValidationError":
        return _official("msrest.exceptions", name, ValueError)
    return _official("azure.core.exceptions", name, ValueError)


def _namespace() -> dict[str, Any]:
    return {"__module__": __name__}


def _official(module: str, name: str, stand_in: type[Exception]) -> type[Exception]:
    """The class of this name that programs know; where its package is missing, one of our own."""
    try:
        official: type[Exception] = getattr(importlib.import_module(module), name)
    except ImportError:
        if stand_in is Exception:
            return stand_in
        return type(name, (stand_in,), _namespace())
    return official


def _class(name: str) -> type[Any]:
    made: Optional[type[Any]] = globals().get(name)
    if made is None:
        made = globals()[name] = _make_class(name)
    return made


_NAMES = (
    "ClientRequestError",
    "DeserializationError",
    "HttpOperationError",
    "RetriesExhaustedError",
    "SerializationError",
    "ValidationError",
)

if TYPE_CHECKING:

    class HttpOperationError(_HttpOperationError): ...

    class ClientRequestError(_RequestError): ...

    class RetriesExhaustedError(HttpOperationError, ClientRequestError): ...

    class SerializationError(ValueError): ...

    class DeserializationError(ValueError): ...

    class ValidationError(ValueError): ...

else:

    def __getattr__(name):
        if name in _NAMES:
            return _class(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _requests_error(name: str, text: str, response: Optional[Response]) -> Exception:
    """What `inner_exception` holds: the exception the requests package would have raised, if it is installed."""
    if response is not None and response.status_code < 400:
        return Exception(text)
    if not name:
        name = "HTTPError"
    if name == "HTTPError" and response is not None:
        side = "Client" if response.status_code < 500 else "Server"
        text = f"{response.status_code} {side} Error: {response.reason} for url: {response.url}"
    error: Exception = _official("requests.exceptions", name, OSError)(text)
    if response is not None:
        error.code = explain(response)[0]  # type: ignore[attr-defined]
    return error


# --- making them -------------------------------------------------------------------------------------------


def serialization_error(text: str) -> Exception:
    """An argument does not fit its type."""
    error: Exception = _class("SerializationError")(text)
    return error


def deserialization_error(text: str) -> Exception:
    """An answer does not fit its type."""
    error: Exception = _class("DeserializationError")(text)
    return error


def is_data_error(error: Exception) -> bool:
    """Whether one of the two above made this error."""
    made = [globals()[name] for name in ("SerializationError", "DeserializationError") if name in globals()]
    return isinstance(error, tuple(made))


def validation_error(rule: str, target: str, value: object) -> Exception:
    """An argument is missing (rule `required`) or of the wrong type (rule `type`, value the type wanted)."""
    cls = _class("ValidationError")
    if cls.__module__ != __name__:
        official: Exception = cls(rule, target, value)
        return official
    wanted = "can not be None." if rule == "required" else f"must be of type '{value}'"
    error: Exception = cls(f"Parameter '{target}' {wanted}")
    return error


def refused(response: Response, retried: bool) -> Exception:
    """The hub answered with a status that is no success; `retried` if it did so every time."""
    sentence = f"Operation returned an invalid status code {response.reason!r}"
    if response.status_code < 400:
        sentence = "Unknown error"
    if retried:
        times = f"{response.status_code} {response.reason!r} to {response.attempts} attempts"
        sentence = f"Error occurred in request., RetryError: {response.host} answered {times}"
    code, text = explain(response)
    message = ": ".join(part for part in (sentence, code, text) if part)
    if response.status_code == 401:
        message += (
            ". Check SharedAccessKeyName and SharedAccessKey in the connection string, that this policy has the right"
            " for the operation, and this computer's clock"
        )
    if retried:
        error: Exception = _class("RetriesExhaustedError")(message, response, "RetryError")
        return error
    error = _class("HttpOperationError")(message, response, "HTTPError")
    return error


def explain(response: Response) -> tuple[str, str]:
    """The hub's name of an error and its text, from the header and any of its three forms of body."""
    code = response.headers.get("iothub-errorcode", "")
    text = ""
    body = _json_object(response.text)
    message = body.get("Message")
    if isinstance(message, str):
        nested = _json_object(message)
        if nested:
            body = nested
        else:
            text = message
            if message.startswith("ErrorCode:"):
                named, _, text = message[len("ErrorCode:") :].partition(";")
                code = code or named
    if isinstance(body.get("message"), str):
        text = body["message"]
        code = code or str(body.get("errorCode", ""))
    return code, text[:_EXCERPT]


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


# --- errors of the core ------------------------------------------------------------------------------------

_REQUESTS_NAMES = {
    "connection_failed": "ConnectionError",
    "connection_dropped": "ConnectionError",
    "protocol": "ConnectionError",
    "timeout": "ReadTimeout",
    "tls": "SSLError",
}


def raise_core_error(core_error: Exception) -> NoReturn:
    """Raise the public error for one of the core: `args` are its kind, sentence and causes."""
    kind, message, causes = core_error.args
    text = ": ".join([message, *causes])
    name = _REQUESTS_NAMES.get(kind)
    if name is not None:
        raise _class("ClientRequestError")(f"Error occurred in request., {name}: {text}", None, name) from None
    if kind == "system":
        raise OSError(text) from None
    raise ValueError(text) from None
