"""tests/device_facts.md: each fact of the official device package has a test that holds its literals, or is different
on purpose and has its row in docs/differences.md.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from named_tests import files_by_test, names, rows
from support import ROOT

ROWS: list[list[str]] = list(rows(ROOT / "tests" / "device_facts.md"))
DIFFERENT = "differences: "

# What else is the test's: recordings of the official package, and what is done with both packages.
COMPARED_WITH = {
    "test_it_is_what_the_official_package_sends_but_for_what_is_meant": [
        "tests/golden/wire/device.json",
        "tests/golden/wire/module.json",
        "tests/golden/wire/provisioning.json",
        "tests/python/wire/websocket.py",
    ],
    "test_the_request_for_a_websocket_is_the_official_one": ["tests/golden/wire/upgrade.json"],
    "test_uploads_and_methods_are_asked_for_as_was_recorded": ["tests/golden/wire/https.json"],
    "test_a_name_is_as_the_official_package_has_it": ["tests/golden/api.json"],
    "test_what_goes_wrong_is_raised_as_the_official_package_raises_it": ["tests/python/interop/scenarios/errors.py"],
    "test_a_name_that_is_not_loopback_is_not_trusted_by_our_clients": ["tests/python/named_hub.py"],
    "test_of_two_mistakes_the_one_is_told_that_the_official_package_tells": ["tests/python/factory_run.py"],
}


def plain(text: str) -> str:
    """Without what only the language needs: backslashes, and texts in several parts."""
    text = re.sub(r"\\\n\s*", "", text)
    text = re.sub(r'"\s*\n\s*[rf]*"', "", text)
    return text.replace("\\", "")


@cache
def evidence(test: str) -> str:
    """The text of the file of a test, and of what it compares with; of a Rust file only its tests."""
    files = [*files_by_test()[test], *(ROOT / path for path in COMPARED_WITH.get(test, []))]
    return plain("\n".join(map(only_tests, files)))


def only_tests(file: Path) -> str:
    text = file.read_text("utf-8")
    return text.partition("#[cfg(test)]\nmod tests")[2] or text


@pytest.fixture(scope="module")
def differences() -> set[str]:
    """What the rows of docs/differences.md are about."""
    lines = (ROOT / "docs" / "differences.md").read_text("utf-8").splitlines()
    return {line.split("|")[1].strip() for line in lines if line.startswith("|")}


@pytest.mark.parametrize(("what", "literals", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_a_fact_has_its_tests_or_is_different_on_purpose(
    differences: set[str], what: str, literals: str, tests: str
) -> None:
    quoted = re.findall(r"`([^`]+)`", literals)
    assert quoted, f"no literal of {what}"
    if tests.startswith(DIFFERENT):
        assert tests.removeprefix(DIFFERENT) in differences
        return
    assert names(tests), f"no test of {what}"
    assert [name for name in names(tests) if name not in files_by_test()] == []
    held = [evidence(name) for name in names(tests)]
    assert [literal for literal in quoted if not any(literal in text for text in held)] == []


def test_there_are_such_tables() -> None:
    assert len(ROWS) > 200
