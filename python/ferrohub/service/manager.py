"""What the managers have in common: whom they ask, as whom, and how their methods come from the calls.

A method of a manager is a method of `ferrohub.service.calls` and a way to run it: `blocking` here, `awaitable` for
asyncio. So each is written once, and type checkers see both signatures.
"""

from __future__ import annotations

import functools
import types

from ferrohub._frames import one_frame
from ferrohub.service.authentication import SharedAccessPolicy, TokenAuthorization
from ferrohub.service.client import ServiceClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    from typing_extensions import Concatenate, ParamSpec, Self

    from ferrohub.service.authentication import AnyCredential, Authorization
    from ferrohub.service.calls import Call
    from ferrohub.service.client import Connection
    from ferrohub.service.protocol import IotHubGatewayServiceAPIs
    from ferrohub.service.retry import RetryPolicy

    Parameters = ParamSpec("Parameters")
    Result = TypeVar("Result")


def blocking(
    method: Callable[Concatenate[Any, Parameters], Call[Result]],
) -> Callable[Concatenate[Any, Parameters], Result]:
    """A method that runs this call and waits for its result."""

    @one_frame
    @functools.wraps(of_result(method))
    def call(self: Any, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        result: Result = self._client.run(method(self, *args, **kwargs))
        return result

    return call


def of_result(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same function as `help` and editors are to show it: with its result, not with the call that ends in it."""
    shown = types.FunctionType(method.__code__, method.__globals__, method.__name__, method.__defaults__)
    shown.__kwdefaults__, shown.__doc__ = method.__kwdefaults__, method.__doc__
    shown.__module__, shown.__qualname__ = method.__module__, method.__qualname__
    result = str(method.__annotations__["return"]).removeprefix("Call[").removesuffix("]")
    shown.__annotations__ = {**method.__annotations__, "return": result}
    return shown


class AnyManager:
    """The constructors of managers of both kinds.

    `timeout` is in seconds, for each call with all its attempts; a call's own `timeout=` counts instead. `retry` tells
    how often calls are tried. Making a manager does no I/O.
    """

    _client: Connection
    _client_class: type[Connection]

    @one_frame
    def __init__(
        self,
        connection_string: str | None = None,
        host: str | None = None,
        auth: Any = None,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """From the connection string of a shared access policy, or from a host name and who asks.

        A port in the host name (`localhost:8443`) is kept: that is how a local hub is reached. `auth` is an
        authorization of `azure.iot.hub.auth`, or a token credential.
        Raises ValueError for what is no connection string, TypeError if there is none. With that of a device the first
        call raises KeyError, with a key that is not base64 `SasTokenError`.
        """
        self._connect(connection_string, host, auth, timeout, retry)

    def _connect(
        self,
        connection_string: str | None,
        host: str | None,
        auth: Any,
        timeout: float | None,
        retry: RetryPolicy | None,
    ) -> None:
        authorization: Authorization
        if connection_string is not None or host is None:
            authorization = SharedAccessPolicy(connection_string)  # type: ignore[arg-type]  # None is refused there
            host = authorization.host_name
        elif auth is None:
            raise ValueError(
                "Parameter 'credentials' must not be None.: give a token credential, or a connection string"
            )
        else:
            authorization = (
                auth if isinstance(auth, (SharedAccessPolicy, TokenAuthorization)) else TokenAuthorization(auth)
            )
        self._client = self._client_class(host, authorization, timeout, retry)

    @classmethod
    @one_frame
    def from_connection_string(
        cls, connection_string: str, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Self:
        """A manager for the connection string of a shared access policy."""
        return cls(connection_string, timeout=timeout, retry=retry)

    @classmethod
    @one_frame
    def from_token_credential(
        cls,
        url: str,
        token_credential: AnyCredential,
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Self:
        """A manager for a hub's host name (`url`) and a credential, for instance of azure-identity."""
        return cls(host=url, auth=TokenAuthorization(token_credential), timeout=timeout, retry=retry)

    @property
    def auth(self) -> Authorization:
        """Who asks."""
        return self._client.authorization


class Manager(AnyManager):
    """A manager whose methods wait for their results.

    One manager keeps its connections to the hub and may be used from many threads. Every method raises

    - `msrest.exceptions.HttpOperationError` if the hub refuses. `error.response.status_code` is its status
      (401 wrong key or policy, 404 not found, 409 exists already, 412 the etag is stale, 429 throttled),
      `error.code` its name for it, and the text holds its own message.
    - `msrest.exceptions.ClientRequestError` if no answer came: refused, host name unknown, TLS, time-out.
      Where it is safe, a call is tried four times over 5 s before; it takes 100 s at most.
    - `msrest.exceptions.ValidationError` if an identifier or a body is None.
    """

    _client: ServiceClient
    _client_class = ServiceClient
    _protocol: IotHubGatewayServiceAPIs | None = None

    @property
    def protocol(self) -> IotHubGatewayServiceAPIs:
        """The operations of the REST interface themselves, as the official package shows them."""
        if self._protocol is None:
            from ferrohub.service.protocol import IotHubGatewayServiceAPIs

            self._protocol = IotHubGatewayServiceAPIs.of(self._client)
        return self._protocol

    def close(self) -> None:
        """End the connections; a call afterwards opens new ones."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
