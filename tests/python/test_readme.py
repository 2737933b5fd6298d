"""The README's programs run as they stand, one after the other, against one hub."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import results
from ferrohub import LocalHub
from support import ROOT, run

README = (ROOT / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PRINTED = ["21\n", "101\n", "21\n", "1000\n", "0\n", "thermostat 21.5 degrees\n", "enabled\n"]


def test_every_program_prints_what_it_should(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # one of them keeps a file
    assert len(PROGRAMS) == len(PRINTED)
    env = {"IOTHUB_CONNECTION_STRING": hub.connection_string}
    for program, printed in zip(PROGRAMS, PRINTED):
        if "DEVICE_CONNECTION_STRING" in program:
            env["DEVICE_CONNECTION_STRING"] = hub.device_connection_string("thermostat")
        ran = run(sys.executable, "-c", program, env=env)
        assert (ran.code, ran.out, ran.err) == (0, printed, "")


def test_the_figures_it_tells_are_those_of_the_run_that_is_kept() -> None:
    kept = (ROOT / "benches" / "results" / "latest.json").read_text("utf-8")
    lines = {results.line(row) for row in json.loads(kept)["rows"]}
    told = [line for line in README.splitlines() if re.search(r"\| (ok|near|BELOW) \|$", line)]
    assert told
    assert set(told) <= lines
    page = (ROOT / "benches" / "results" / "latest.md").read_text("utf-8")
    assert page == results.page(json.loads(kept))


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`?ferrohub [^`\n]*?(--[a-z-]+)", README))))
def test_every_option_it_names_exists(option: str) -> None:
    assert option in run(sys.executable, "-m", "ferrohub", "up", "--help").out
