"""Run all scenarios with the package that this Python has: `python -m interop.program WAY TRANSPORT SERVICE CA_FILE`.

WAY is sync or asyncio, TRANSPORT tcp or websockets, SERVICE the connection string of a local hub on standard ports.
Questions to the hub go out as lines of JSON, answers come in; the last line holds the outcome of each scenario.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable

from any_client import Sort, public_coroutines
from interop import scenarios
from interop.stage import Hub, Stage

SECONDS = 60
"""No scenario takes longer."""

ASKING = threading.Lock()


def ask(method: str, *arguments: Any) -> Any:
    """Have the hub do something."""
    with ASKING:
        print(json.dumps({"call": method, "arguments": arguments}), flush=True)
        answer = json.loads(sys.stdin.readline())
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


def all_scenarios() -> dict[str, Callable[[Stage], Any]]:
    """The public coroutine functions of the modules in `interop/scenarios`."""
    names = [f"{scenarios.__name__}.{module.name}" for module in pkgutil.iter_modules(scenarios.__path__)]
    found: dict[str, Callable[[Stage], Any]] = {}
    for name in names:
        found.update(public_coroutines(importlib.import_module(name)))
    return found


async def outcome(name: str, scenario: Callable[[Stage], Any], sorts: dict[str, Sort], service: str) -> Any:
    """What a scenario returns, or how it failed."""
    stage = Stage(name, sorts, Hub(ask), service)
    try:
        await stage.prepare()
        return await asyncio.wait_for(scenario(stage), SECONDS)
    except Exception:  # noqa: BLE001 - the test shows it
        return {"failed": traceback.format_exc()}
    finally:
        await stage.clean_up()


def main(way: str, transport: str, service: str, ca_file: str) -> None:
    sorts = {
        of: Sort(
            module=of == "module",
            waits_with_asyncio=way == "asyncio",
            websockets=transport == "websockets",
            server_verification_cert=Path(ca_file).read_text("utf-8"),
        )
        for of in ("device", "module")
    }
    outcomes = {
        name: asyncio.run(outcome(name, scenario, sorts, service)) for name, scenario in all_scenarios().items()
    }
    print(json.dumps({"outcomes": outcomes}), flush=True)


if __name__ == "__main__":
    # Of the official package: it uses what Python has deprecated.
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
