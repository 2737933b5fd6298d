"""docs/differences.md names the test of each difference, and each of those tests is there."""

from __future__ import annotations

import pytest
from named_tests import files_by_test, names, rows
from support import ROOT

ROWS = [(cells[0], cells[-1]) for cells in rows(ROOT / "docs" / "differences.md")]


@pytest.mark.parametrize(("what", "tests"), ROWS, ids=[what for what, _ in ROWS])
def test_a_difference_has_its_tests(what: str, tests: str) -> None:
    assert names(tests), f"no test of {what}"
    assert [name for name in names(tests) if name not in files_by_test()] == []


def test_there_are_such_tables() -> None:
    assert len(ROWS) > 40
