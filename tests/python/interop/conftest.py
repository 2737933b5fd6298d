"""The outcomes of all scenarios, by both packages and in all ways."""

from __future__ import annotations

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, official_python, own_network, run

HOSTS = "127.0.0.1 hub.example"
WAYS = ["sync tcp", "sync websockets", "asyncio tcp", "asyncio websockets"]
SECONDS = 240
"""A run of all scenarios; half a minute on an idle machine."""


class Outcomes(dict[str, Any]):
    """What each scenario came to. One that failed fails the test that looks at it."""

    def __getitem__(self, scenario: str) -> Any:
        outcome = super().__getitem__(scenario)
        if isinstance(outcome, dict) and "failed" in outcome:
            pytest.fail(outcome["failed"])
        return outcome


@pytest.fixture(scope="session", params=["ours", "official"])
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcomes]:
    """By way. All ways at the same time: most of it is waiting."""
    python = Path(sys.executable) if request.param == "ours" else official_python()

    def run_one(way: str) -> Outcomes:
        with tempfile.TemporaryDirectory() as folder:
            command = own_network([sys.executable, "-m", "interop.run", python, *way.split(), folder], hosts=HOSTS)
            ran = run(*command, env={"PYTHONPATH": str(ROOT / "tests" / "python")}, timeout=SECONDS)
        assert ran.code == 0, ran.err
        return Outcomes(json.loads(ran.out))

    with ThreadPoolExecutor() as pool:
        return dict(zip(WAYS, pool.map(run_one, WAYS)))


@pytest.fixture(params=WAYS)
def told(request: pytest.FixtureRequest, outcomes: dict[str, Outcomes]) -> Outcomes:
    """By scenario."""
    return outcomes[request.param]
