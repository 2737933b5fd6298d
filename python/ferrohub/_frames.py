"""Short tracebacks: an error ends in the public method that was called, one frame above the user's line.

The clients' insides say nothing to a user; a traceback that ends in their line and the name of the call does.
Frames of other code, such as a user's credential that failed, stay.
"""

from __future__ import annotations

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])


def one_frame(method: Method) -> Method:
    """Let a method's errors show this one frame of ours."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            raise shortened(error)  # noqa: B904 - it is the same one

    return call  # type: ignore[return-value]


def one_frame_async(method: Method) -> Method:
    """The same for a coroutine function, which stays one."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            raise shortened(error)  # noqa: B904 - it is the same one

    return call  # type: ignore[return-value]


def shortened(error: BaseException) -> BaseException:
    """The same error, to be raised again by the public method."""
    _shorten(error.__cause__)
    return error.with_traceback(_beyond_ours(error.__traceback__))


def _beyond_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that follows our own frames."""
    while traceback is not None and _is_ours(traceback):
        traceback = traceback.tb_next
    return traceback


def _is_ours(traceback: TracebackType) -> bool:
    return str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0] == "ferrohub"


def _shorten(cause: BaseException | None) -> None:
    """Take our frames off a chain of causes, so that each is shown as a line and not with our insides."""
    while cause is not None:
        cause.__traceback__ = _beyond_ours(cause.__traceback__)
        cause = cause.__cause__
