"""docs/differences.md names the test of each difference, and each of those tests is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from support import ROOT

DOCUMENT = ROOT / "docs" / "differences.md"


def rows_with_a_test() -> Iterator[tuple[str, str]]:
    """What each row is about, and its last cell, of the tables whose last column is `test`."""
    names_tests = False
    for line in DOCUMENT.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            names_tests = False
        elif cells[0] == "what":
            names_tests = cells[-1] == "test"
        elif names_tests and set(line) - set("|- "):
            yield cells[0], cells[-1]


ROWS = list(rows_with_a_test())


@pytest.fixture(scope="module")
def defined() -> set[str]:
    """The names of all functions in tests, and in the Rust files that have theirs at the bottom."""
    files = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("tests/rust/**/*.rs"), *ROOT.glob("tests/python/**/test_*.py")]
    function = re.compile(r"^ *(?:async )?(?:def|fn) (\w+)", re.MULTILINE)
    return {name for file in files for name in function.findall(file.read_text("utf-8"))}


@pytest.mark.parametrize(("what", "tests"), ROWS, ids=[what for what, _ in ROWS])
def test_a_difference_has_its_tests(defined: set[str], what: str, tests: str) -> None:
    names = re.findall(r"`(\w+)`", tests)
    assert names, f"no test of {what}"
    assert [name for name in names if name not in defined] == []


def test_there_are_such_tables() -> None:
    assert len(ROWS) > 40
