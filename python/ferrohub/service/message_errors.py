"""What is raised when a message to a device was not sent, or may not have been, or when none can be received.

    Exception
     └── MessageError                the message: text, `status_code`, `may_have_arrived`
          ├── MessageRejected        the hub refused the message, or has nothing of the kind to receive;
          │                          `status_code` is 404, 403, 413 …
          ├── MessageTimeout         no answer in time; a TimeoutError
          ├── AMQPConnectionError    no connection: refused, name unknown, TLS
          ├── TokenAuthFailure       the hub refused the token or its rights
          ├── LinkDetach             the hub refused the link for another reason, or broke the protocol
          └── MessageHandlerError    the connection was lost before the hub answered

The last four are the classes of these names of `uamqp.errors` too where that package is installed, as programs catch
those; `MessageRejected` is a plain Exception there.
"""

from __future__ import annotations

from ferrohub.service.errors import official

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ferrohub._native import CoreError

_CLASSES = {
    "timeout": "MessageTimeout",
    "no_answer": "MessageTimeout",
    "connection_failed": "AMQPConnectionError",
    "tls": "AMQPConnectionError",
    "unauthorized": "TokenAuthFailure",
    "protocol": "LinkDetach",
    "connection_dropped": "MessageHandlerError",
    "service": "MessageRejected",
}
_MAY_HAVE_ARRIVED = ("no_answer", "connection_dropped")


class MessageError(Exception):
    """A message that was not sent, or may not have been.

    `status_code` is the HTTP status that stands for the hub's refusal, or None. `may_have_arrived` tells whether the
    hub may have the message all the same: then it was not sent again, as the device could get it twice.
    """

    def __init__(self, kind: str, text: str) -> None:
        Exception.__init__(self, text)
        self._kind = kind
        sort, _, status = kind.partition(" ")
        self.status_code = int(status) if status else None
        self.may_have_arrived = sort in _MAY_HAVE_ARRIVED

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._kind, self.args[0])


def _class(name: str) -> type[MessageError]:
    made: type[MessageError] | None = globals().get(name)
    if made is None:
        bases: tuple[type[Any], ...] = (MessageError,)
        if name == "MessageTimeout":
            bases = (MessageError, TimeoutError)
        elif name != "MessageRejected":
            theirs = official("uamqp.errors", name, Exception)
            bases = bases if theirs is Exception else (MessageError, theirs)
        made = globals()[name] = type(name, bases, {"__module__": __name__})
    return made


if TYPE_CHECKING:

    class MessageRejected(MessageError):
        """The hub refused the message."""

    class MessageTimeout(MessageError, TimeoutError):
        """No answer in time."""

    class AMQPConnectionError(MessageError):
        """There is no connection to the hub."""

    class TokenAuthFailure(MessageError):
        """The hub refused the token, or its rights."""

    class LinkDetach(MessageError):
        """The hub refused the link."""

    class MessageHandlerError(MessageError):
        """The connection was lost before the hub answered."""


def __getattr__(name: str) -> Any:
    if name in _CLASSES.values():
        return _class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _make(kind: str, text: str) -> Exception:
    name = _CLASSES.get(kind.partition(" ")[0])
    if name is not None:
        return _class(name)(kind, text)
    return OSError(text) if kind == "system" else ValueError(text)


def from_parts(kind: str, message: str, causes: list[str]) -> Exception:
    """The public error for the parts of one of the core."""
    return _make(kind, ": ".join([message, *causes]))


def from_core(core_error: CoreError) -> Exception:
    """The public error for one of the core."""
    return from_parts(*core_error.args)
