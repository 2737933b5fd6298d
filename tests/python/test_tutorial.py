"""The tutorial runs unchanged: with ours, with the official packages, and with either side replaced."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pytest
from ferrohub import LocalHub
from support import (
    DEVICE,
    MODULE,
    PATCH_TOPIC,
    RECEIVE,
    ROOT,
    TUTORIAL,
    Argument,
    Outcome,
    Program,
    official_python,
    own_network,
    run,
    same_but_for_values,
    tutorial_script,
)

CREATED = """\
device <myFirstDevice> has primary key = <key>
device/module <myFirstDevice/myFirstModule> has primary key = <key>
"""
UPDATED = """\

Module twin properties before update    :
{'additional_properties': {}, 'desired': {'$metadata': {'$lastUpdated': '<time>'}, '$version': 1}, \
'reported': {'$metadata': {'$lastUpdated': '<time>'}, '$version': 1}}

Module twin properties after update     :
{'additional_properties': {}, 'desired': {'telemetryInterval': 122, '$metadata': {'$lastUpdated': '<time>', \
'$lastUpdatedVersion': 2, 'telemetryInterval': {'$lastUpdated': '<time>', '$lastUpdatedVersion': 2}}, '$version': 2}, \
'reported': {'$metadata': {'$lastUpdated': '<time>'}, '$version': 1}}
"""
RECEIVED = """\
Starting the IoT Hub Python sample...
IoTHubModuleClient waiting for commands, press Ctrl-C to exit

Twin desired properties patch received:
{'telemetryInterval': 122, '$version': 2}
IoTHubModuleClient sample stopped"""


def tutorial(service: Path, module: Path, folder: Path, *, standard_ports: bool) -> dict[str, Outcome]:
    if not TUTORIAL.exists():
        pytest.skip(f"the tutorial's scripts are not in {TUTORIAL}: set FERROHUB_TUTORIAL")
    program = Path(__file__).parent / "tutorial_run.py"
    command: list[Argument] = [sys.executable, program, service, module, folder]
    ran = run(*(own_network([*command, "--standard-ports"]) if standard_ports else command), timeout=100)
    assert ran.code == 0, ran.err
    return {name: Outcome(**outcome) for name, outcome in json.loads(ran.out).items()}


def sorted_metadata(text: str) -> str:
    """A real hub sends `$metadata` with its own two keys in either order; so do we not look at it."""
    return re.sub(
        r"'telemetryInterval': \{'\$lastUpdated': '<time>', '\$lastUpdatedVersion': 2\}, '\$lastUpdatedVersion': 2",
        "'$lastUpdatedVersion': 2, 'telemetryInterval': {'$lastUpdated': '<time>', '$lastUpdatedVersion': 2}",
        text,
    )


def check(outcomes: dict[str, Outcome]) -> None:
    assert {name: outcome.err for name, outcome in outcomes.items()} == dict.fromkeys(outcomes, "")
    assert {name: outcome.code for name, outcome in outcomes.items()} == dict.fromkeys(outcomes, 0)
    printed = {name: same_but_for_values(outcome.out) for name, outcome in outcomes.items()}
    assert printed["create"] == CREATED
    assert outcomes["again"].out == outcomes["create"].out  # the 409 path, and the same keys
    assert sorted_metadata(printed["update"]) == UPDATED
    assert printed["receive"] == RECEIVED


@pytest.mark.timeout(120)
def test_the_tutorial_runs_unchanged_with_ours(tmp_path: Path) -> None:
    ours = Path(sys.executable)
    check(tutorial(ours, ours, tmp_path, standard_ports=False))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("module", ["ours", "official"])
@pytest.mark.parametrize("service", ["ours", "official"])
def test_the_official_packages_print_the_same_on_either_side(service: str, module: str, tmp_path: Path) -> None:
    pythons = {"ours": Path(sys.executable), "official": official_python()}
    check(tutorial(pythons[service], pythons[module], tmp_path, standard_ports=True))


def test_ctrl_c_ends_the_receiver_within_a_second(hub: LocalHub, module_connection_string: str, tmp_path: Path) -> None:
    script = tutorial_script(RECEIVE, module_connection_string, tmp_path)
    with Program(sys.executable, script) as receiver:
        hub.wait_subscribed(DEVICE, MODULE, PATCH_TOPIC)
        receiver.interrupt()
        ended = receiver.finish(timeout=1)
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "IoTHubModuleClient sample stopped"
    assert ended.err == ""


def test_make_tutorial_holds_its_promises_within_ten_seconds() -> None:
    started = time.monotonic()
    ran = run(sys.executable, ROOT / "scripts" / "tutorial.py")
    assert ran.code == 0, ran.out + ran.err
    assert time.monotonic() - started < 10
