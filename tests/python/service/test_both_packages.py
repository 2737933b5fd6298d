"""Microsoft's package and ours, in the same program, each against a local hub: the same results, step by step."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ferrohub import LocalHub
from support import official_python, run, same_but_for_values

PROGRAM = Path(__file__).parent.parent / "service_program.py"


def steps(python: Path | str) -> dict[str, Any]:
    """Each step and its outcome, without what differs from one hub to the next."""
    with LocalHub() as hub:
        trust = {} if python == sys.executable else {"REQUESTS_CA_BUNDLE": hub.ca_file}
        ran = run(python, "-W", "ignore", PROGRAM, hub.connection_string, hub.container_uri(), env=trust)
    assert (ran.code, ran.err) == (0, "")
    return dict(json.loads(_masked(line)) for line in ran.out.splitlines())


def _masked(line: str) -> str:
    line = re.sub(r"[0-9a-f]{32}-G:\d+-TimeStamp:[0-9/]+ [0-9:]+", "<tracking id>", same_but_for_values(line))
    line = re.sub(r'("(?:etag|deviceEtag|generationId)": )"[^"]*"', r'\1"<of this hub>"', line)
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id of a job>", line)
    return re.sub(r"(ms-azure-iot-edge://[a-z]+-)\d+", r"\1<generation>", line)


@pytest.mark.timeout(120)
def test_both_packages_see_the_same() -> None:
    official, ours = steps(official_python()), steps(sys.executable)
    assert list(official) == list(ours)
    assert len(ours) > 60
    assert {name: outcome for name, outcome in ours.items() if outcome != official[name]} == {}
