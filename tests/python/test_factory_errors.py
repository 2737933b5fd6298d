"""Of several mistakes in the arguments of a factory, the one is told that the official package tells."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import factory_run
import pytest
from support import ROOT, official_python, run

Told = dict[str, dict[str, str]]


def told_by(python: Path) -> Told:
    ran = run(python, ROOT / "tests" / "python" / "factory_run.py", timeout=60)
    assert ran.code == 0, ran.err
    told: Told = json.loads(ran.out)
    return told


@pytest.fixture(scope="module")
def ours() -> Told:
    return told_by(Path(sys.executable))


@pytest.fixture(scope="module")
def official() -> Told:
    return told_by(official_python())


@pytest.mark.parametrize("factory", factory_run.FACTORIES)
def test_of_two_mistakes_the_one_is_told_that_the_official_package_tells(
    ours: Told, official: Told, factory: str
) -> None:
    assert len(official[factory]) > 30
    assert ours[factory] == official[factory]
