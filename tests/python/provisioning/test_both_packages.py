"""Our provisioning client and Microsoft's with the local hub on the standard ports: the same comes of both."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support import official_python, own_network, run


@pytest.fixture(params=["ours", "official"], scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of the cases of `provisioning_run.py` with a package."""
    python = Path(sys.executable) if request.param == "ours" else official_python()
    program = Path(__file__).parent.parent / "provisioning_run.py"
    ran = run(*own_network([sys.executable, program, python, tmp_path_factory.mktemp("x509")]), timeout=90)
    assert ran.code == 0, ran.err
    result: dict[str, Any] = json.loads(ran.out.splitlines()[-1])
    return result


@pytest.mark.timeout(120)
def test_devices_are_assigned_and_connect_to_the_hub_they_are_given(told: dict[str, Any]) -> None:
    assigned = {name: came for name, came in told["outcomes"].items() if came[0] == "assigned"}
    assert assigned == {
        "own-key": ["assigned", "sensor", "initialAssignment", '{"a": null, "b": 1}'],
        "of-the-fleet": ["assigned", "of-the-fleet", "initialAssignment", "null"],
        "own-certificate": ["assigned", "own-certificate", "initialAssignment", "null"],
        "by-ca": ["assigned", "by-ca", "initialAssignment", "null"],
    }
    assert told["senders"] == {name: came[1] for name, came in assigned.items()}
    assert {name: told["payloads"][name] for name in assigned} == {name: {"name": name} for name in assigned}


@pytest.mark.timeout(120)
def test_others_are_refused_with_the_official_errors(told: dict[str, Any]) -> None:
    # What the official package says stands at the beginning of what ours says.
    failing = told["outcomes"]["failing"]
    text = "Query Status operation returned a failed registration status with a status code of 200"
    assert (failing[:2], failing[2].startswith(text)) == (["ClientError", "ServiceError"], True)
    text = "Query Status Operation encountered an invalid registration status disabled with a status code of 200"
    assert told["outcomes"]["disabled"] == ["ClientError", "ServiceError", text]
    nobody = told["outcomes"]["of-nobodys-fleet"]
    text = "register request returned a service error status code 401"
    assert (nobody[:2], nobody[2].startswith(text)) == (["ClientError", "ServiceError"], True)
