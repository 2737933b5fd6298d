"""What a scenario has at hand: clients, the hub, and the service's side, each of the package that runs it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import importlib.util
import queue
import time
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

from any_client import SECONDS, Sort, done, elsewhere
from azure.iot.device import X509
from azure.iot.hub import IoTHubRegistryManager

OURS = importlib.util.find_spec("ferrohub") is not None
MODULE, KEY = "module", "Zm9vYmFy"


class Hub:
    """The local hub, in another process: its methods, and those of `interop.back`, as coroutines."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def __getattr__(self, method: str) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            return await elsewhere(self._ask, method, *arguments)

        return call


class Stage:
    """The stage of one scenario. It has a device of the scenario's name, with one module."""

    def __init__(self, name: str, sorts: dict[str, Sort], hub: Hub, service: str) -> None:
        self.device, self.hub, self.service = name, hub, service
        self.registry: Any = IoTHubRegistryManager.from_connection_string(service)
        self._sorts = sorts
        self._clients: list[Any] = []
        self._arrivals: queue.Queue[Any] = queue.Queue()
        self._changes: dict[Any, queue.Queue[None]] = {}

    async def prepare(self) -> None:
        """Create the identities."""
        await elsewhere(self.registry.create_device_with_sas, self.device, "", "", "enabled")
        await elsewhere(self.registry.create_module_with_sas, self.device, MODULE, "", "", "")
        self.connection_string: str = await self.hub.device_connection_string(self.device)
        self.module_connection_string: str = await self.hub.module_connection_string(self.device, MODULE)

    async def clean_up(self) -> None:
        """Shut down the clients."""
        for client in self._clients:
            # The scenario may have done it.
            with contextlib.suppress(Exception):
                await done(client.shutdown())

    def factory(self, of: str) -> Any:
        """The class that makes clients, of the device or the module."""
        return self._sorts[of].cls

    def begin(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Begin a call of a client, and go on."""
        return self._sorts["device"].begin(call, *arguments)

    def client(self, text: str = "", **options: Any) -> Any:
        """A client of the device."""
        return self._made(self._sorts["device"].from_connection_string(text or self.connection_string, **options))

    def module_client(self, **options: Any) -> Any:
        """A client of its module."""
        return self._made(self._sorts["module"].from_connection_string(self.module_connection_string, **options))

    def client_from_token(self, token: str, **options: Any) -> Any:
        """A client of the device that knows no key."""
        sort = self._sorts["device"]
        return self._made(sort.cls.create_from_sastoken(token, **{**sort.options, **options}))

    def certified(self, certificate: Path, *module: str) -> Any:
        """A client of the device or its module that shows a certificate: this file with `.pem`, its key with `.key`."""
        sort = self._sorts["module" if module else "device"]
        x509 = X509(f"{certificate}.pem", f"{certificate}.key")
        client = sort.cls.create_from_x509_certificate(x509, "localhost", self.device, *module, **sort.options)
        return self._made(client)

    def edge_client(self) -> Any:
        """A client of the module that the environment names."""
        sort = self._sorts["module"]
        return self._made(sort.cls.create_from_edge_environment(websockets=sort.options["websockets"]))

    def _made(self, client: Any) -> Any:
        changes: queue.Queue[None] = queue.Queue()
        client.on_connection_state_change = lambda: changes.put(None)
        self._changes[client] = changes
        self._clients.append(client)
        return client

    def token(self, seconds: int) -> str:
        """A token for the device that lives so long."""
        key = self.connection_string.partition("SharedAccessKey=")[2]
        resource, expiry = quote(f"localhost/devices/{self.device}", safe=""), str(int(time.time()) + seconds)
        digest = hmac.digest(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256)
        signature = quote(base64.b64encode(digest), safe="")
        return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}"

    async def becomes(self, client: Any, *, connected: bool) -> None:
        """Wait until the client is, or is not, connected."""
        while client.connected is not connected:
            await elsewhere(self._changes[client].get, True, SECONDS)

    async def changes(self, client: Any, count: int, seconds: float = SECONDS) -> int:
        """Wait until the client has told of so many changes of its connection; how many there were in that time."""
        number = 0
        with contextlib.suppress(queue.Empty):
            while number < count:
                await elsewhere(self._changes[client].get, True, seconds)
                number += 1
        return number

    def handler(self, body: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A handler with a coroutine function as its body, for the sort of client that runs."""
        return body if self._sorts["device"].waits_with_asyncio else lambda item: asyncio.run(body(item))

    def arrive(self, item: Any) -> None:
        """A handler: the item is the next `arrival`."""
        self._arrivals.put(item)

    async def arrival(self) -> Any:
        """What a handler was given next."""
        return await elsewhere(self._arrivals.get, True, SECONDS)


async def error_of(call: Any) -> list[str]:
    """The names of what was raised and of its cause."""
    try:
        await done(call())
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return [type(error).__name__, type(error.__cause__).__name__]
    return []


async def raised(calls: dict[str, Callable[[], Any]]) -> Any:
    """What each of these calls raises."""
    return {name: await error(call) for name, call in calls.items()}


async def error(call: Callable[[], Any]) -> Any:
    """What a call raises: class, text and cause; None for nothing."""
    try:
        await done(call())
    except Exception as failure:  # noqa: BLE001 - the test looks at it
        cause = failure.__cause__
        return {
            "classes": _classes(failure),
            "text": str(failure),
            "causes": _classes(cause),
            "cause": str(cause or ""),
        }
    return None


def _classes(error: BaseException | None) -> list[str]:
    return [] if error is None else [cls.__name__ for cls in type(error).__mro__]


def told(message: Any) -> dict[str, Any]:
    """A message that a client received: what it has."""
    values = {name: value for name, value in vars(message).items() if value not in (None, {})}
    return {**values, "data": message.data.decode()}
