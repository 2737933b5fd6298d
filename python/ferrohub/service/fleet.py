"""Many devices at once: every row of a query, and changes of any number of identities.

Here is what both kinds of registry managers share, without I/O; they differ in how they run it.
https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry#bulk-operations
"""

from __future__ import annotations

from itertools import islice

from ferrohub.service import errors, operations
from ferrohub.service.models import ExportImportDevice, Twin
from ferrohub.service.operation import interpret, prepare, read_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Callable, Optional, Union

    from ferrohub.service.calls import Call
    from ferrohub.service.calls.registry import Query
    from ferrohub.service.models import BulkRegistryOperationResult
    from ferrohub.service.response import Response

    Change = Union[ExportImportDevice, dict[str, Any]]
    # Called with how many devices are done, and how many there are if that is known.
    Progress = Callable[[int, Optional[int]], object]
    Identity = tuple[Optional[str], Optional[str]]
    Outcome = Union[tuple[BulkRegistryOperationResult, Response], Exception]

LARGEST_PAGE = 1000
"""Rows that the hub gives at once."""
LARGEST_REQUEST = 100
"""Identities that the hub changes at once."""
ALL_DEVICES = "SELECT * FROM devices"
_TOO_MANY_REQUESTS = 429
_NO_REASON = "the hub says no more"
_ROUNDS_WHEN_THROTTLED = 10
# What refuses one request for such a reason would refuse every other.
_CONCERNS_ALL = (401, 403)


def query_page(
    query: Query | str, continuation_token: str | None, page_size: int, timeout: float | None
) -> Call[tuple[list[Any], str | None]]:
    """The rows of one page, twins as models and everything else as JSON; and the token of the next, if there is one."""
    body = {"query": query} if isinstance(query, str) else query
    page = (continuation_token, page_size)
    response = yield prepare(operations.QUERY_ROWS, options=page, body=body, timeout=timeout)
    rows = interpret(operations.QUERY_ROWS, response) or []
    if str(response.headers.get("x-ms-item-type")).lower() == "twin":
        rows = read_each(Twin, rows)
    return rows, response.headers.get("x-ms-continuation") or None


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

    A request that is throttled is sent again for some minutes. If the hub can't be reached, or refuses the caller, no
    further request is sent, and all that was not sent fails with that error.
    """

    def __init__(self, changes: Iterable[Change], progress: Progress | None, timeout: float | None) -> None:
        self.results: list[DeviceResult] = []
        self._changes = iter(changes)
        self._progress = progress
        self._timeout = timeout
        length = getattr(changes, "__len__", None)
        self._total = None if length is None else length()
        self._done = 0
        self._stopped_by: Exception | None = None

    def calls(self) -> Iterator[tuple[list[DeviceResult], Call[tuple[BulkRegistryOperationResult, Response]]]]:
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
            if not isinstance(outcome, (errors.HttpOperationError, errors.ClientRequestError)):
                raise outcome  # an argument that does not fit, or no token: nothing that the hub has answered
            _fail(expected, str(outcome), getattr(outcome, "code", None))
            response = getattr(outcome, "response", None)
            if response is None or response.status_code in _CONCERNS_ALL:
                self._stopped_by = outcome
        else:
            _tell(expected, *outcome)
        self._done += len(expected)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def finish(self) -> list[DeviceResult]:
        """The results, in the order of the changes; those that were not sent are told so."""
        if self._stopped_by is not None:
            _fail(self._expect(list(self._changes)), f"not sent: {self._stopped_by}", None)
        return self.results


def checked_concurrency(concurrency: int) -> int:
    """The same number. Raises ValueError if no request could be on its way."""
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    return concurrency


def _identity(change: Change) -> Identity:
    if isinstance(change, ExportImportDevice):
        return change.id, change.module_id
    found = ExportImportDevice.from_dict(change)
    return found.id, found.module_id


def _change(changes: list[Change], timeout: float | None) -> Call[tuple[BulkRegistryOperationResult, Response]]:
    request = prepare(operations.UPDATE_REGISTRY, body=changes, timeout=timeout)
    for _ in range(_ROUNDS_WHEN_THROTTLED):
        response = yield request
        if response.status_code != _TOO_MANY_REQUESTS:
            break
    return interpret(operations.UPDATE_REGISTRY, response), response


def _fail(results: list[DeviceResult], error: str, code: str | None) -> None:
    for result in results:
        result.error, result.error_code = error, code or None


def _tell(expected: list[DeviceResult], answer: BulkRegistryOperationResult, response: Response) -> None:
    """Spread an answer over the identities that it is about."""
    if answer.is_successful is None:
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
