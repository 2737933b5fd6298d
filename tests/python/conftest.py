"""Fixtures of all Python tests: local hubs on free ports, a folder for what they keep, and the sorts of clients."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot import device as synchronous
from azure.iot.device import aio
from azure.iot.hub import IoTHubRegistryManager
from sorts_of_clients import SECONDS, Back, Sort
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from pathlib import Path

    from ferrohub import LocalHub


class WhatIsSetUpOnce(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """How tests are dealt out to several processes (`pytest -n`): by file, for its tests share what it sets up.

    The tests of `contract` count their calls together, those of `interop` look at the same outcomes.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder.endswith(("/contract", "/interop")) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WhatIsSetUpOnce:
    return WhatIsSetUpOnce(config, log)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """In a background job Ctrl-C is ignored, and so in the programs it starts. Those of the tests must hear it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def ferrohub_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every hub, client and program of the tests shares this folder, and not the user's."""
    home = tmp_path_factory.mktemp("ferrohub-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERROHUB_HOME", str(home))
        # Nothing of this machine may help: ours trust a local hub without any of them.
        for name in (
            "IOTHUB_CONNECTION_STRING",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(
    params=[
        pytest.param(10, id="tenth", marks=pytest.mark.timeout(180)),
        pytest.param(1, id="full", marks=[pytest.mark.soak, pytest.mark.timeout(3 * 3600)]),
    ]
)
def scaled(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """What becomes of a number: itself in the soak, a tenth of it in every other run."""
    divisor: int = request.param
    return lambda number: number // divisor


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A hub of its own for the test, in this process."""
    from ferrohub import LocalHub

    with LocalHub() as hub:
        yield hub


@pytest.fixture
def registry(hub: LocalHub) -> IoTHubRegistryManager:
    """The service's side of that hub."""
    return IoTHubRegistryManager.from_connection_string(hub.connection_string)


@pytest.fixture
def module_connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    """The tutorial's module, created on the hub."""
    from support import DEVICE, MODULE

    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
    return hub.module_connection_string(DEVICE, MODULE)


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[Any], Any]]:
    """Runs coroutines on an event loop of its own; gives back everything else."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def awaited(value: Any) -> Any:
        return await value

    def run(value: Any) -> Any:
        if not inspect.isawaitable(value):
            return value
        return asyncio.run_coroutine_threadsafe(awaited(value), loop).result(SECONDS)

    yield run
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SECONDS)
    loop.close()


@pytest.fixture(
    params=[(synchronous, False), (synchronous, True), (aio, False), (aio, True)],
    ids=["device", "module", "aio-device", "aio-module"],
)
def sort(request: pytest.FixtureRequest, hub: LocalHub, run: Callable[[Any], Any]) -> Sort:
    """Each sort of client."""
    sdk, of_module = request.param
    return Sort(sdk, of_module, Back(hub), run)
