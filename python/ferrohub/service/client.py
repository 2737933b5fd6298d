"""The blocking client under the managers: prepares a request, has the core send it, reads the answer.

The core keeps the connections (one pool per client), signs, waits and retries; see `src/service`.
"""

from __future__ import annotations

import sys

from ferrohub._native import CoreError, ServiceTransport
from ferrohub.service import errors
from ferrohub.service.operation import interpret, prepare
from ferrohub.service.response import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    from ferrohub.service.authentication import SharedAccessPolicy, TokenAuthorization
    from ferrohub.service.operation import Operation

    Result = TypeVar("Result")


class ServiceClient:
    """Calls operations on one hub, one after the other or from many threads at once."""

    def __init__(self, authorization: SharedAccessPolicy | TokenAuthorization) -> None:
        self._authorization = authorization
        policy, key = authorization.policy_name, authorization.key
        try:
            self._transport = ServiceTransport(authorization.host_name, _platform(), policy, key)
        except CoreError as error:
            raise errors.from_core(error) from None

    def call(
        self,
        operation: Operation[Result],
        path: Sequence[Any] = (),
        *,
        query: Sequence[Any] = (),
        body: Any = None,
        etag: Any = None,
    ) -> Result:
        """Call an operation and wait for its result.

        Raises what `prepare` and `interpret` raise, and ClientRequestError if no answer came: at the latest
        after 100 s in all, or at once when nothing can be reached and the retries are used up (about 5 s).
        """
        request = prepare(operation, path, query=query, body=body, etag=etag)
        headers = request.headers + self._authorization.headers()
        try:
            answer = self._transport.request(request.method, request.target, headers, request.body)
        except CoreError as error:
            raise errors.from_core(error) from None
        return interpret(operation, Response(request, *answer))


def _platform() -> str:
    """What the user agent says after `ferrohub/<version>`."""
    return f"python {'.'.join(map(str, sys.version_info[:3]))}; {sys.platform}"
