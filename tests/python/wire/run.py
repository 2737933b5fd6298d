"""Record all scenarios with the package that this Python has: `python -m wire.run TRANSPORT FOLDER`.

In a network of its own, for it takes the standard ports. TRANSPORT is tcp or websockets; FOLDER has the certificates of
`recording_hub`. Prints as JSON `{"packets": {sort: {scenario: [packet, …]}}, "upgrade": [line, …]}`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

from any_client import Sort, public_coroutines
from wire import registrations, scenarios
from wire.broker import BackEnd, forget_session, mosquitto
from wire.normal import normal, normal_request
from wire.packets import Packet
from wire.recorder import Recorder
from wire.stage import Stage

SECONDS = 60
"""No scenario takes longer."""


async def play(name: str, scenario: Callable[[Stage], Any], stage: Stage) -> None:
    """One scenario, to the end of its connections; its session is forgotten."""
    try:
        await scenario(stage)
    except Exception as error:
        raise RuntimeError(f"{name} failed after {stage.recorder.record()}") from error
    stage.recorder.wait_for_the_end()
    forget_session("/".join(stage.ids))


def record(sort: Sort, played: ModuleType, folder: Path, recorder: Recorder, back: BackEnd) -> dict[str, list[Packet]]:
    """What each scenario puts on the wire, and then what the program got."""
    recorded = {}
    for name, scenario in public_coroutines(played).items():
        stage = Stage(name, sort, folder, recorder, back)
        recorder.start()
        asyncio.run(asyncio.wait_for(play(name, scenario, stage), SECONDS))
        recorded[name] = normal(recorder.record()) + stage.told
    return recorded


def main(transport: str, folder: Path) -> None:
    recorded = {}
    trusted = {"server_verification_cert": (folder / "ca.pem").read_text()}
    own = folder / transport
    own.mkdir()
    with mosquitto(own), Recorder(folder) as recorder, BackEnd() as back:
        for of, way in itertools.product(("device", "module", "provisioning"), ("sync", "asyncio")):
            sort = Sort(
                module=of == "module",
                waits_with_asyncio=way == "asyncio",
                websockets=transport == "websockets",
                **trusted,
            )
            played = registrations if of == "provisioning" else scenarios
            recorded[f"{of} {way} {transport}"] = record(sort, played, folder, recorder, back)
        upgrade = normal_request(recorder.upgrade) if recorder.upgrade else None
        print(json.dumps({"packets": recorded, "upgrade": upgrade}))


if __name__ == "__main__":
    # Of the official package: it uses what Python has deprecated.
    warnings.simplefilter("ignore")
    main(sys.argv[1], Path(sys.argv[2]))
