"""What each method of the managers asks the hub, written once for those that block and those that await.

A method here returns a `Call`: a generator that gives the requests to send, takes their responses, and ends with the
result. It does no I/O; a client runs it (`ferrohub.service.client`, `ferrohub.service.aio`). Its docstring is the one
that users read. One file for each group of methods.
"""

from __future__ import annotations

from ferrohub.service.operation import interpret, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any, TypeVar

    from ferrohub.service.operation import Operation, Request
    from ferrohub.service.response import Response

    Result = TypeVar("Result")
    Call = Generator[Request, Response, Result]


def ask(
    operation: Operation[Result],
    path: Sequence[Any] = (),
    *,
    options: Sequence[Any] = (),
    body: Any = None,
    if_match: Any = None,
    timeout: float | None = None,
) -> Call[Result]:
    """A call of one request: this operation's. Raises what `prepare` and `interpret` raise."""
    request = prepare(operation, path, options=options, body=body, if_match=if_match, timeout=timeout)
    return interpret(operation, (yield request))


def quoted_or_star(etag: Any) -> str:
    """The If-Match of identities and twins: the etag in double quotes unless it has them, `"*"` for None.

    Anything but a str is sent as its text.
    """
    if etag is None:
        return '"*"'
    if not isinstance(etag, str):
        return str(etag)
    quoted = len(etag) > 1 and etag.startswith('"') and etag.endswith('"')
    return etag if quoted else f'"{etag}"'
