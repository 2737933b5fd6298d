"""The clients under the managers: they have the core send the requests of a call, and give the call its responses.

The core keeps the connections (one pool per client), signs, waits and retries; see `src/service`. `ServiceClient`
blocks; the one that awaits is in `ferrohub.service.aio`.
"""

from __future__ import annotations

import binascii
import sys
import threading
from itertools import islice

from ferrohub._native import CoreError, Mailbox, ServiceTransport
from ferrohub.service import errors
from ferrohub.service.operation import DEFAULT_TIMEOUT
from ferrohub.service.response import Response
from ferrohub.service.retry import checked_policy, checked_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from typing import Any, TypeVar

    from ferrohub._native import Operation
    from ferrohub.service.authentication import Authorization
    from ferrohub.service.calls import Call
    from ferrohub.service.operation import Request
    from ferrohub.service.retry import RetryPolicy

    Key = TypeVar("Key")
    Result = TypeVar("Result")


class Connection:
    """One hub's REST endpoint, and who asks: what clients of both kinds have."""

    blocks: bool
    """Whether threads wait for its calls, or an event loop."""

    def __init__(
        self, host_name: str, authorization: Authorization, timeout: float | None, retry: RetryPolicy | None
    ) -> None:
        self.host_name = host_name
        self.authorization = authorization
        self.timeout = DEFAULT_TIMEOUT if timeout is None else checked_timeout(timeout)
        self.retry = checked_policy(retry)
        self._transport: ServiceTransport | None = None
        self._opening = threading.Lock()

    def open(self) -> ServiceTransport:
        """What sends requests, made at first use: no I/O yet.

        Raises KeyError or binascii.Error if the connection string is not one of a policy.
        """
        with self._opening:
            if self._transport is None:
                policy, key = self.authorization.policy_name, self.authorization.key
                try:
                    self._transport = ServiceTransport(self.host_name, _platform(), policy, key, self.blocks)
                except CoreError as error:
                    raise errors.from_core(error) from None
            return self._transport

    def operation(self, request: Request, authorization: list[tuple[str, str]]) -> Operation:
        """What the core has to do for a request."""
        usual = max(self.timeout, request.takes)
        limit = usual if request.timeout is None else checked_timeout(request.timeout)
        headers = request.headers + authorization
        try:
            transport = self._transport or self.open()
            return transport.request(
                request.method, request.target, headers, request.body, request.repeatable, limit, self.retry
            )
        except CoreError as error:
            raise errors.from_core(error) from None
        except binascii.Error as error:
            from ferrohub.service.sastoken import SasTokenError

            raise SasTokenError(f"Unable to build SasToken from given values: {error}", error) from None

    def close(self) -> None:
        """End the connections; a call afterwards opens new ones."""
        if self._transport is not None:
            self._transport.close()


class ServiceClient(Connection):
    """Runs calls on one hub, one after the other or from many threads at once."""

    blocks = True

    def run(self, call: Call[Result]) -> Result:
        """Send the requests of a call and wait for its result.

        Raises what the call raises, and ClientRequestError if no answer came in time.
        """
        try:
            request = next(call)
            while True:
                request = call.send(self._send(request))
        except StopIteration as end:
            result: Result = end.value
            return result

    def run_many(
        self, calls: Iterator[tuple[Key, Call[Result]]], at_once: int
    ) -> Iterator[tuple[Key, Result | Exception]]:
        """Run calls, so many at once, and give each one's key and outcome as it ends. No threads."""
        from concurrent.futures import Future  # slow to import, and needed here only

        mailbox = Mailbox(errors.from_core, drives=True)
        waiting: dict[Future[Any], tuple[Key, Call[Result], Request, Operation]] = {}

        def send(key: Key, call: Call[Result], request: Request) -> None:
            operation = self.operation(request, self.authorization.headers())
            future: Future[Any] = Future()
            waiting[future] = (key, call, request, operation)
            operation.start(mailbox, future)

        try:
            while True:
                for key, call in islice(calls, at_once - len(waiting)):
                    send(key, call, next(call))
                if not waiting:
                    return
                mailbox.wait()
                mailbox.drain()
                for future in [future for future in waiting if future.done()]:
                    key, call, request, _ = waiting.pop(future)
                    outcome: Any
                    try:
                        send(key, call, call.send(Response(request, *future.result())))
                        continue
                    except StopIteration as end:
                        outcome = end.value
                    except Exception as error:  # noqa: BLE001 - it is the outcome
                        outcome = error
                    yield key, outcome
        finally:
            for *_, operation in waiting.values():
                operation.cancel()

    def _send(self, request: Request) -> Response:
        operation = self.operation(request, self.authorization.headers())
        try:
            return Response(request, *operation.wait())
        except CoreError as error:
            raise errors.from_core(error) from None


def _platform() -> str:
    """What the user agent says after `ferrohub/<version>`."""
    return f"python {'.'.join(map(str, sys.version_info[:3]))}; {sys.platform}"
