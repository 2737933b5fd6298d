"""A client of either package, synchronous or asyncio, used the same way by one program.

For programs that also run under the Python that has Microsoft's packages: nothing here needs ours.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from types import ModuleType
from typing import Any, Callable

from azure.iot import device
from azure.iot.device import aio

SECONDS = 30
"""Nothing is waited for longer."""


class Sort:
    """A sort of client: synchronous or asyncio, of a device or a module, over TCP or WebSockets."""

    def __init__(self, *, module: bool, waits_with_asyncio: bool, websockets: bool, **options: Any) -> None:
        """`options` are given to every client."""
        package = aio if waits_with_asyncio else device
        self.cls: Any = package.IoTHubModuleClient if module else package.IoTHubDeviceClient
        self.provisioning: Any = package.ProvisioningDeviceClient
        self.module, self.waits_with_asyncio = module, waits_with_asyncio
        self.options = {**options, "websockets": websockets}

    def from_connection_string(self, text: str, **options: Any) -> Any:
        """A client with these options more."""
        return self.cls.create_from_connection_string(text, **{**self.options, **options})

    def begin(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Begin a call of a client, and go on."""
        loop = asyncio.get_running_loop()
        if self.waits_with_asyncio:
            return loop.create_task(call(*arguments))
        return loop.run_in_executor(None, call, *arguments)


def public_coroutines(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The coroutine functions that a module defines, by name, but for those that begin with an underscore."""
    functions = inspect.getmembers(module, inspect.iscoroutinefunction)
    return {name: each for name, each in functions if each.__module__ == module.__name__ and name[0] != "_"}


async def done(result: Any) -> Any:
    """What a call returns, or the coroutine of it."""
    return await asyncio.wait_for(result, SECONDS) if inspect.isawaitable(result) else result


async def elsewhere(call: Callable[..., Any], *arguments: Any) -> Any:
    """The outcome of something that blocks, while the loop of the program goes on."""
    waiting: Awaitable[Any] = asyncio.get_running_loop().run_in_executor(None, call, *arguments)
    return await asyncio.wait_for(waiting, SECONDS)
