"""Creating something once, though the request may have had to be sent twice.

A create is tried again when its answer is lost. If the first had its effect after all, the hub refuses the second: the
call meets its own success. Then what is there is read, and is the result if it is this call's: it came into being while
this call ran, by the hub's own clock, and holds everything that was asked for. What tells when it did is the generation
of an identity, .NET ticks of its creation, or the time that configurations and jobs name. Whoever created the same with
the same content in the same seconds can't be told apart; any doubt beyond that leaves the conflict as it is.
"""

from __future__ import annotations

from ferrohub.service.operation import interpret, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar, Union

    from ferrohub.service.calls import Call
    from ferrohub.service.models import Configuration, Device, JobResponse, Module
    from ferrohub.service.operation import Operation
    from ferrohub.service.response import Response

    Created = TypeVar("Created", bound=Union[Configuration, Device, JobResponse, Module])
    # Whether what is there, in JSON, holds what was asked for.
    Holds = Callable[[Any, Any], bool]

# A hub that allows one job at a time says of the second that there are too many.
_REFUSED = (409, 429)
_TICKS_PER_SECOND = 10_000_000
_TICKS_IN_1970 = 621_355_968_000_000_000


def holds(found: Any, asked: Any) -> bool:
    """Whether what was asked for is there; for `""` the hub has chosen."""
    if isinstance(asked, dict):
        return isinstance(found, dict) and all(holds(found.get(name), value) for name, value in asked.items())
    return asked == "" or bool(found == asked)


def create(
    put: Operation[Created],
    get: Operation[Created],
    path: tuple[str | None, ...],
    wanted: Any,
    timeout: float | None,
    as_asked: Holds = holds,
) -> Call[Created]:
    """Create it with `put`; `get` reads it."""
    response = yield prepare(put, path, body=wanted, timeout=timeout)
    if response.status_code in _REFUSED and put.body is not None:
        found = yield from own_success(get, path, put.body(wanted), response, timeout, as_asked)
        if found is not None:
            return found
    return interpret(put, response)


def own_success(
    get: Operation[Created],
    path: tuple[str | None, ...],
    asked: dict[str, Any],
    refusal: Response,
    timeout: float | None,
    as_asked: Holds = holds,
) -> Call[Created | None]:
    """What is there, if an earlier attempt of the request that was refused has made it; else None."""
    if refusal.in_doubt is None:
        return None
    answer = yield prepare(get, path, timeout=timeout)
    if answer.status_code not in get.success:
        return None
    found = interpret(get, answer)
    is_own = _came_into_being(found, refusal) and as_asked(found.serialize(), asked)
    return found if is_own else None


def _came_into_being(found: Created, refusal: Response) -> bool:
    """Whether it was created after this call had been sent for the first time, by the hub's clock."""
    date, created = refusal.headers.get("date"), _created(found)
    if date is None or created is None:
        return False
    from email.utils import parsedate_to_datetime

    try:
        now = parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return False
    return created >= now - (refusal.in_doubt or 0.0)


def _created(found: Created) -> float | None:
    """When it was, in seconds since 1970; None if it doesn't say."""
    time = getattr(found, "created_time_utc", None) or getattr(found, "created_time", None)
    if time is not None:
        return float(time.timestamp())
    generation = getattr(found, "generation_id", None) or ""
    return (int(generation) - _TICKS_IN_1970) / _TICKS_PER_SECOND if generation.isdigit() else None
