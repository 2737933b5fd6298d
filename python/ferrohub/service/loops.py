"""What the core has to tell event loops, about requests and about messages, whose errors are of different kinds."""

from __future__ import annotations

import weakref

from ferrohub.service import errors, message_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Callable

    from ferrohub._event_loops import EventLoop
    from ferrohub._native import CoreError

    Loops = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, EventLoop]

_request_loops: Loops = weakref.WeakKeyDictionary()
_message_loops: Loops = weakref.WeakKeyDictionary()


def for_requests() -> EventLoop:
    """The running event loop, as it learns of requests."""
    return _of_running(_request_loops, errors.from_core)


def for_messages() -> EventLoop:
    """The running event loop, as it learns of messages."""
    return _of_running(_message_loops, message_errors.from_core)


def _of_running(loops: Loops, public_error: Callable[[CoreError], Exception]) -> EventLoop:
    import asyncio  # slow to import; a program without it does without

    from ferrohub._event_loops import EventLoop

    loop = asyncio.get_running_loop()
    found = loops.get(loop)
    if found is None:
        found = loops[loop] = EventLoop(loop, public_error)
    return found
