"""Many devices at once: every row of a query, and changes of any number of identities.

Here is what both kinds of registry managers share, without I/O; they differ in how they run it.
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry#bulk-operations
"""

from __future__ import annotations

from itertools import islice
from time import monotonic

from ferrohub.service import errors, operations
from ferrohub.service.calls.creation import own_success
from ferrohub.service.models import ExportImportDevice
from ferrohub.service.operation import interpret, prepare
from ferrohub.service.retry import checked_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Callable, Optional, Union

    from ferrohub.service.calls import Call
    from ferrohub.service.calls.registry import Query
    from ferrohub.service.models import BulkRegistryOperationResult, DeviceRegistryOperationError
    from ferrohub.service.operation import Operation
    from ferrohub.service.response import Response

    Change = Union[ExportImportDevice, dict[str, Any]]
    # Called with how many devices are done, and how many there are if that is known.
    Progress = Callable[[int, Optional[int]], object]
    Identity = tuple[Optional[str], Optional[str]]
    Answered = tuple[Optional[BulkRegistryOperationResult], Response]
    Outcome = Union[Answered, Exception]

LARGEST_PAGE = 1000
"""Rows that the hub gives at once."""
LARGEST_REQUEST = 100
"""Identities that the hub changes at once."""
ALL_DEVICES = "SELECT * FROM devices"
_TOO_MANY_REQUESTS = 429
_NO_REASON = "the hub says no more"
_ROUNDS_WHEN_THROTTLED = 10
# The hub would refuse every other request for the same reason.
_UNAUTHORIZED = 401
_ROUNDS_WITHOUT_SUCCESS = 2
_GONE = ("DeviceNotFound", "ModuleNotFound")
_THERE = ("DeviceAlreadyExists", "ModuleAlreadyExistsOnDevice")
# What an identity has of a change that creates it.
_OF_IDENTITY = ("status", "statusReason", "authentication", "capabilities", "deviceScope", "parentScopes")


def query_page(
    query: Query | str, continuation_token: str | None, page_size: int, timeout: float | None
) -> Call[tuple[list[Any], str | None]]:
    """The rows of one page, twins as models and everything else as JSON; and the token of the next, if there is one."""
    body = {"query": query} if isinstance(query, str) else query
    page = (continuation_token, page_size)
    response = yield prepare(operations.QUERY_ROWS, options=page, body=body, timeout=timeout)
    are_twins = str(response.headers.get("x-ms-item-type")).lower() == "twin"
    rows: list[Any] = interpret(operations.QUERY_TWINS if are_twins else operations.QUERY_ROWS, response) or []
    return rows, response.headers.get("x-ms-continuation") or None


def check_query(page_size: int, timeout: float | None) -> None:
    """Raises TypeError or ValueError at the call: its first request is made when a row is wanted."""
    if isinstance(page_size, bool) or not isinstance(page_size, int):
        raise TypeError(f"page_size must be an int, not {page_size!r}")
    if timeout is not None:
        checked_timeout(timeout)


class DeviceResult:
    """What became of one identity in `bulk`: `error` is None if it was done, else why it wasn't.

    `error_code` is the hub's name of the error, if it is the hub's. `warning` is what the hub adds to a success.
    """

    __slots__ = ("device_id", "error", "error_code", "module_id", "warning")

    def __init__(self, device_id: str | None, module_id: str | None) -> None:
        self.device_id = device_id
        self.module_id = module_id
        self.error_code: str | None = None
        self.error: str | None = None
        self.warning: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the hub has done it."""
        return self.error is None

    def __repr__(self) -> str:
        name = self.device_id if self.module_id is None else f"{self.device_id}/{self.module_id}"
        return f"<{name}: {'done' if self.error is None else self.error}>"


class Bulk:
    """Changes of identities, cut into requests, and what became of each.

    Each request is tried as calls are, and for some minutes if it is throttled. One that fails for good fails for its
    identities only. But if the hub does not know the caller, or two rounds of requests in a row failed (a round is as
    many as are on their way at once), no further request is sent, and all that was not sent fails with that error.
    Raises TypeError or ValueError for arguments that make no sense.
    """

    def __init__(
        self, changes: Iterable[Change], concurrency: int, progress: Progress | None, timeout: float | None
    ) -> None:
        if isinstance(concurrency, bool) or not isinstance(concurrency, int):
            raise TypeError(f"concurrency must be an int, not {concurrency!r}")
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be a function of two numbers, not {progress!r}")
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {concurrency}")
        self.results: list[DeviceResult] = []
        self.concurrency = concurrency
        self._changes = iter(changes)
        self._progress = progress
        self._timeout = timeout
        length = getattr(changes, "__len__", None)
        self._total = None if length is None else length()
        self._done = 0
        self._failed_in_a_row = 0
        self._stopped_by: Exception | None = None

    def calls(self) -> Iterator[tuple[list[DeviceResult], Call[Answered]]]:
        """The requests that are still to be made, each with the results that it is to fill."""
        while self._stopped_by is None:
            changes = list(islice(self._changes, LARGEST_REQUEST))
            if not changes:
                return
            yield self._expect(changes), _change(changes, self._timeout)

    def _expect(self, changes: list[Change]) -> list[DeviceResult]:
        expected = [DeviceResult(*_identity(change)) for change in changes]
        self.results.extend(expected)
        return expected

    def note(self, expected: list[DeviceResult], outcome: Outcome) -> None:
        """What became of one request."""
        if isinstance(outcome, Exception):
            self._note_failure(expected, outcome)
        else:
            self._failed_in_a_row = 0
            _tell(expected, *outcome)
        self._done += len(expected)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _note_failure(self, expected: list[DeviceResult], error: Exception) -> None:
        of_the_hub = (errors.HttpOperationError, errors.ClientRequestError, errors.DeserializationError)
        if not isinstance(error, of_the_hub):
            raise error  # an argument that does not fit, or no token: nothing that came of a request
        _fail(expected, str(error), getattr(error, "code", None))
        self._failed_in_a_row += 1
        response = getattr(error, "response", None)
        is_refused = response is not None and response.status_code == _UNAUTHORIZED
        if is_refused or self._failed_in_a_row >= _ROUNDS_WITHOUT_SUCCESS * self.concurrency:
            self._stopped_by = error

    def finish(self) -> list[DeviceResult]:
        """The results, in the order of the changes; those that were not sent are told so."""
        if self._stopped_by is not None:
            _fail(self._expect(list(self._changes)), f"not sent: {self._stopped_by}", None)
        return self.results


def _as_model(change: Change) -> ExportImportDevice:
    return change if isinstance(change, ExportImportDevice) else ExportImportDevice.from_dict(change)


def _identity(change: Change) -> Identity:
    found = _as_model(change)
    return found.id, found.module_id


def _change(changes: list[Change], timeout: float | None) -> Call[Answered]:
    request = prepare(operations.CHANGE_IDENTITIES, body=changes, timeout=timeout)
    first_doubt: float | None = None
    for _ in range(_ROUNDS_WHEN_THROTTLED):
        response = yield request
        if response.in_doubt is not None and first_doubt is None:
            first_doubt = monotonic() - response.in_doubt
        if response.status_code != _TOO_MANY_REQUESTS:
            break
    answer = interpret(operations.CHANGE_IDENTITIES, response)
    if first_doubt is not None and answer is not None and answer.errors:
        response.in_doubt = monotonic() - first_doubt
        answer = yield from _without_own_successes(answer, changes, response, timeout)
    return answer, response


def _without_own_successes(
    answer: BulkRegistryOperationResult, changes: list[Change], response: Response, timeout: float | None
) -> Call[BulkRegistryOperationResult]:
    """The answer to a request that the hub may have had before, without what it says only because of that."""
    by_identity = {_identity(change): _as_model(change) for change in changes}
    left = []
    for error in answer.errors:
        change = by_identity.get((error.device_id, error.module_id or None))
        if change is None or not (yield from _is_own_success(error, change, response, timeout)):
            left.append(error)
    answer.errors, answer.is_successful = left, not left
    return answer


def _is_own_success(
    error: DeviceRegistryOperationError, change: ExportImportDevice, response: Response, timeout: float | None
) -> Call[bool]:
    if error.error_code in _GONE:
        return str(change.import_mode).startswith("delete")
    if error.error_code not in _THERE or change.import_mode != "create":
        return False
    asked = {name: value for name, value in change.serialize().items() if name in _OF_IDENTITY}
    get: Operation[Any] = operations.GET_DEVICE if change.module_id is None else operations.GET_MODULE
    path = (change.id,) if change.module_id is None else (change.id, change.module_id)
    return (yield from own_success(get, path, asked, response, timeout)) is not None


def _fail(results: list[DeviceResult], error: str, code: str | None) -> None:
    for result in results:
        result.error, result.error_code = error, code or None


def _tell(expected: list[DeviceResult], answer: BulkRegistryOperationResult | None, response: Response) -> None:
    """Spread an answer over the identities that it is about."""
    if answer is None or answer.is_successful is None:
        # The hub refused the request as a whole.
        code, text, _ = errors.explain(response)
        _fail(expected, text or f"the hub answered {response.status_code} {response.reason!r}", code)
        return
    if not answer.is_successful and not answer.errors:
        _fail(expected, _NO_REASON, None)
    # One that is asked for twice is refused as often.
    by_identity: dict[Identity, list[DeviceResult]] = {}
    for result in expected:
        by_identity.setdefault((result.device_id, result.module_id), []).append(result)
    for error in answer.errors or []:
        # An error that names none of them may be of any: none of them is said to be done.
        concerned = by_identity.get((error.device_id, error.module_id or None), expected)
        _fail(concerned, error.error_status or error.error_code or _NO_REASON, error.error_code)
    for warning in answer.warnings or []:
        for result in by_identity.get((warning.device_id, None), []):
            result.warning = warning.warning_status or warning.warning_code
