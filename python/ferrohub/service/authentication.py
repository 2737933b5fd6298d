"""Who a service client is: the connection string of a policy, or a token credential of Azure AD.

The core signs requests with the policy's key; here the connection string is checked, with the exceptions
programs know and a sentence on what to do.
https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas
"""

from __future__ import annotations

import binascii
import threading
import time

from ferrohub._connection_strings import SERVICE_FORM, ConnectionString, WrongConnectionStringError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, Union

    class AccessToken(Protocol):
        """What a credential hands out: the token and when it expires (seconds since 1970)."""

        @property
        def token(self) -> str:
            """The token itself."""

        @property
        def expires_on(self) -> int:
            """Seconds since 1970."""

    class TokenCredential(Protocol):
        """Any credential of azure-identity, or another object with this method."""

        def get_token(self, *scopes: str) -> AccessToken:
            """A token that is good for these scopes."""

    class AsyncTokenCredential(Protocol):
        """Any credential of azure.identity.aio, or another object with this method."""

        async def get_token(self, *scopes: str) -> AccessToken:
            """A token that is good for these scopes."""

    AnyCredential = Union[TokenCredential, AsyncTokenCredential]
    Authorization = Union["SharedAccessPolicy", "TokenAuthorization"]


TOKEN_SCOPE = "https://iothubs.azure.net/.default"  # noqa: S105 - a scope is no secret
_RENEW_BEFORE_SECONDS = 300

_NEEDED = (
    f"{SERVICE_FORM}. Copy it from `ferrohub up` for a local hub, or from the Azure portal (IoT Hub, Shared access"
    " policies)"
)
# How the official package says it.
_NO_EQUALS_SIGN = "dictionary update sequence element #{part} has length 1; 2 is required"


def _parse(connection_string: Any) -> dict[str, str]:
    return parse(_text(connection_string), _NEEDED, _NO_EQUALS_SIGN)


class ServiceConnectionString(ConnectionString):
    """A connection string of a service or a device, to read parts from. Raises TypeError and ValueError."""

    _parsed = staticmethod(_parse)


class SharedAccessPolicy(ServiceConnectionString):
    """Host, policy name and key of a service's connection string.

    As officially, that of a device can be read too: only who asks for the policy or key is told what is wrong.
    """

    @property
    def host_name(self) -> str:
        """The hub's host name, with its port if it has one."""
        return self["HostName"]

    @property
    def policy_name(self) -> str:
        """The policy's name. Raises KeyError if the connection string is a device's."""
        name = self.get("SharedAccessKeyName")
        if name is None:
            party = "a module" if self.get("ModuleId") else "a device"
            raise WrongConnectionStringError(
                f"'SharedAccessKeyName': this is the connection string of {party}. A service needs that of a"
                f" shared access policy of the hub: {_NEEDED}"
            )
        return str(name)

    @property
    def key(self) -> str:
        """The policy's key. Raises binascii.Error if it is not base64."""
        return _checked_key(self["SharedAccessKey"])

    @classmethod
    def create_with_parsed_values(
        cls, host_name: str, shared_access_key_name: str, shared_access_key: str
    ) -> SharedAccessPolicy:
        """Of the three parts of a connection string."""
        return cls(
            f"HostName={host_name};SharedAccessKeyName={shared_access_key_name};SharedAccessKey={shared_access_key}"
        )

    def headers(self) -> list[tuple[str, str]]:
        """None: the core signs each request."""
        return []

    async def headers_awaited(self) -> list[tuple[str, str]]:
        """The same, for asyncio clients."""
        return []

    def bearer(self) -> None:
        """No token: the core makes its own."""

    async def bearer_awaited(self) -> None:
        """The same, for asyncio clients."""


def _text(connection_string: Any) -> str:
    if isinstance(connection_string, str):
        return connection_string
    official = 'can only concatenate str (not "NoneType") to str: ' if connection_string is None else ""
    kind = type(connection_string).__name__
    raise TypeError(f"{official}the connection string must be a str, not {kind}")


def _checked_key(key: str) -> str:
    """The key if it is base64, as leniently read as `base64.b64decode` does."""
    try:
        binascii.a2b_base64(key)
    except binascii.Error as error:
        raise binascii.Error(
            f"{error}: the SharedAccessKey is not base64; copy the connection string again, as a whole"
        ) from None
    return key


class TokenAuthorization:
    """Bearer tokens of a credential, asked for when the last has less than five minutes left.

    Calls that need a new token at the same time share one.
    """

    policy_name: str | None = None
    key: str | None = None

    def __init__(self, credential: AnyCredential) -> None:
        self._get_token = credential.get_token
        self._token: AccessToken | None = None
        self._lock = threading.Lock()
        self._renewal: tuple[Any, Any] | None = None  # the event loop, and its task that asks for a token

    def headers(self) -> list[tuple[str, str]]:
        """The Authorization header with a token that is good for some minutes."""
        with self._lock:
            if self._is_due():
                token: Any = self._get_token(TOKEN_SCOPE)
                if hasattr(token, "__await__"):
                    token.close()
                    raise TypeError(
                        "this credential is one for asyncio: use the managers of azure.iot.hub.aio, or the credential"
                        " of the same name in azure.identity"
                    )
                self._token = token
            return self._header()

    async def headers_awaited(self) -> list[tuple[str, str]]:
        """The same, for asyncio clients: a credential that blocks is asked in a thread, the event loop goes on."""
        if self._is_due():
            import asyncio

            loop = asyncio.get_running_loop()
            if self._renewal is None or self._renewal[0] is not loop or self._renewal[1].done():
                self._renewal = loop, loop.create_task(self._renew())
            # A call that is cancelled leaves the others their token.
            await asyncio.shield(self._renewal[1])
        return self._header()

    def bearer(self) -> tuple[str, int]:
        """A token that is good for some minutes, and when it expires."""
        self.headers()
        return self._bearer()

    async def bearer_awaited(self) -> tuple[str, int]:
        """The same, for asyncio clients."""
        await self.headers_awaited()
        return self._bearer()

    async def _renew(self) -> None:
        import asyncio
        import inspect

        if inspect.iscoroutinefunction(self._get_token):
            token = await self._get_token(TOKEN_SCOPE)
        else:
            token = await asyncio.to_thread(self._get_token, TOKEN_SCOPE)
            if hasattr(token, "__await__"):
                token = await token
        self._token = token

    def _is_due(self) -> bool:
        return self._token is None or self._token.expires_on - time.time() < _RENEW_BEFORE_SECONDS

    def _header(self) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {self._bearer()[0]}")]

    def _bearer(self) -> tuple[str, int]:
        assert self._token is not None
        return self._token.token, int(self._token.expires_on)
