"""What is raised when a request fails, and the only place that makes it.

    Exception
     ├── HttpOperationError            the hub answered with a status that is no success
     │    └── RetriesExhaustedError    it did so whenever asked again; a ClientRequestError too
     ├── ClientRequestError            no answer: refused, name unknown, TLS, time-out
     ├── ValidationError               an argument is missing
     └── ValueError
          ├── SerializationError       an argument does not fit its type
          └── DeserializationError     an answer does not fit its type

Programs catch the classes of these names of msrest and azure-core. So ours are subclasses of them, or they
themselves, where those packages are installed. They are slow to import, hence the classes are made when first
used: at the first error, or when a program names one. Without the packages the classes stand alone.
https://learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub._native import CoreError
    from ferrohub.service.response import Response

_LONGEST_MESSAGE = 500
_REDIRECTIONS = (301, 302, 303, 307, 308)


# --- the classes, made at first use ------------------------------------------------------------------------


class _RequestError(Exception):
    """What both request errors have: they pickle, with their text and the answer.

    `response` is the hub's answer or None. `inner_exception` is the exception of the requests package (here
    named by `cause`) that programs find there, or an OSError where that is not installed.
    """

    def __init__(self, message: str, response: Response | None, cause: str) -> None:
        Exception.__init__(self, message)
        self.response = response
        self.inner_exception: Exception = official("requests.exceptions", cause, OSError)(message)
        self._cause = cause

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self).__name__, self.args[0], self.response, self._cause)


class _HttpOperationError(_RequestError):
    response: Response

    def __init__(self, message: str, response: Response, cause: str) -> None:
        _RequestError.__init__(self, message, response, cause)
        if cause == "HTTPError":
            side = "Client" if response.status_code < 500 else "Server"
            text = f"{response.status_code} {side} Error: {response.reason} for url: {response.url}"
            self.inner_exception.args = (text,)

    @property
    def message(self) -> str:
        """The same text as `str(error)`."""
        return str(self.args[0])

    @property
    def error(self) -> Any:
        """As officially: the inner exception, or the response if its status is below 400."""
        return self.response if self.response.ok else self.inner_exception

    @property
    def code(self) -> str:
        """The hub's name of the error, such as `DeviceNotFound`; empty if it sent none."""
        return explain(self.response)[0]


class _ValidationError(Exception):
    """What msrest's class lacks: it pickles."""

    rule: str
    target: str
    _value: object

    def __reduce__(self) -> tuple[Any, ...]:
        return validation_error, (self.rule, self.target, self._value)


class _UnofficialValidation(Exception):
    """Stands in for msrest's class where that is not installed."""

    def __init__(self, rule: str, target: str, value: object) -> None:
        wanted = "can not be None." if rule == "required" else f"must be of type '{value}'"
        super().__init__(f"Parameter '{target}' {wanted}")
        self.rule = rule
        self.target = target


def _rebuild(name: str, message: str, response: Response | None, cause: str) -> Exception:
    """Make an unpickled error again, with the classes of this process."""
    error: Exception = _class(name)(message, response, cause)
    return error


def _make_class(name: str) -> type[Any]:
    namespace = {"__module__": __name__}
    if name == "RetriesExhaustedError":
        return type(name, (_class("HttpOperationError"), _class("ClientRequestError")), namespace)
    if name == "HttpOperationError":
        return type(name, (_HttpOperationError, official("msrest.exceptions", name, Exception)), namespace)
    if name == "ClientRequestError":
        return type(name, (_RequestError, official("msrest.exceptions", name, Exception)), namespace)
    if name == "ValidationError":
        return type(name, (_ValidationError, official("msrest.exceptions", name, _UnofficialValidation)), namespace)
    theirs = official("azure.core.exceptions", name, ValueError)
    return type(name, (ValueError,), namespace) if theirs is ValueError else theirs


def official(module: str, name: str, stand_in: type[Exception]) -> type[Exception]:
    """The class of this name that programs know, or the stand-in where its package is missing."""
    try:
        theirs: type[Exception] = getattr(importlib.import_module(module), name)
    except ImportError:
        return stand_in
    return theirs


def _class(name: str) -> type[Any]:
    made: type[Any] | None = globals().get(name)
    if made is None:
        made = globals()[name] = _make_class(name)
    return made


if TYPE_CHECKING:

    class HttpOperationError(_HttpOperationError):
        """The hub answered with a status that is no success."""

    class ClientRequestError(_RequestError):
        """No answer came."""

    class RetriesExhaustedError(HttpOperationError, ClientRequestError):
        """The hub failed every time it was asked."""

    class SerializationError(ValueError):
        """An argument does not fit its type."""

    class DeserializationError(ValueError):
        """An answer does not fit its type."""

    class ValidationError(ValueError):
        """An argument is missing."""


_NAMES = (
    "ClientRequestError",
    "DeserializationError",
    "HttpOperationError",
    "RetriesExhaustedError",
    "SerializationError",
    "ValidationError",
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return _class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# --- arguments and answers that do not fit -----------------------------------------------------------------


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
    error: Exception = _class("ValidationError")(rule, target, value)
    error._value = value  # type: ignore[attr-defined]
    return error


# --- the hub's refusals ------------------------------------------------------------------------------------


def refused(response: Response) -> Exception:
    """The hub answered with a status that is no success."""
    sentence = f"Operation returned an invalid status code {response.reason!r}"
    if response.ok:
        sentence = "Unknown error"
    if response.status_code in _REDIRECTIONS:
        elsewhere = response.headers.get("location", "elsewhere").partition("?")[0]
        answered = f"{response.host} answered {response.status_code} {response.reason!r} and points to {elsewhere}"
        sentence = f"Unknown error: {answered}: only a GET is sent again, and only to the same host"
    if response.given_up:
        answered = f"{response.host} answered {response.status_code} {response.reason!r}"
        sentence = f"Error occurred in request., RetryError: {answered} to {response.attempts} attempts"
    code, text, tracking_id = explain(response)
    message = ": ".join(part for part in (sentence, code, text) if part)
    if tracking_id:
        message += f" (tracking id {tracking_id})"
    if response.status_code == 401:
        message += ". Check "
        if "/modules" in response.url and "/twins/" not in response.url:
            message += "whether the device exists and is enabled (IoT Hub says so of modules), "
        message += (
            "SharedAccessKeyName and SharedAccessKey in the connection string, whether this policy"
            " has the right for the operation, and this computer's clock"
        )
    if response.given_up:
        error: Exception = _class("RetriesExhaustedError")(message, response, "RetryError")
    else:
        error = _class("HttpOperationError")(message, response, "HTTPError")
    return error


def explain(response: Response) -> tuple[str, str, str]:
    """The hub's name of an error, its text and its tracking id, from the header and any of its three forms of body."""
    code = response.headers.get("iothub-errorcode", "")
    body = _json_object(response.text)
    text = _text(body, "Message")
    tracking_id = _text(body, "ExceptionMessage").removeprefix("Tracking ID:")
    if text.startswith("ErrorCode:"):
        named, _, text = text[len("ErrorCode:") :].partition(";")
        code = code or named
    # Direct methods nest the third form, as text, in the first.
    body = _json_object(text) or body
    if "message" in body:
        text = _text(body, "message")
        code = code or str(body.get("errorCode", ""))
        tracking_id = tracking_id or _text(body, "trackingId")
    return code, text[:_LONGEST_MESSAGE], tracking_id[:_LONGEST_MESSAGE]


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _json_object(text: str) -> dict[str, Any]:
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


# --- no answer ---------------------------------------------------------------------------------------------

_CAUSES = {
    "connection_failed": "ConnectionError",
    "connection_dropped": "ConnectionError",
    "protocol": "ConnectionError",
    "proxy": "ProxyError",
    "timeout": "ReadTimeout",
    "tls": "SSLError",
}


def from_core(core_error: CoreError) -> Exception:
    """The public error for one of the core."""
    kind, message, causes = core_error.args
    text = ": ".join([message, *causes])
    cause = _CAUSES.get(kind)
    if cause is not None:
        text = f"Error occurred in request., {cause}: {text}"
        error: Exception = _class("ClientRequestError")(text, None, cause)
        return error
    return OSError(text) if kind == "system" else ValueError(text)
