"""Documents whose tables name tests: that each test is there, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support import ROOT


def rows(document: Path) -> Iterator[list[str]]:
    """The cells of each row of the tables whose last column is `test`."""
    names_tests = False
    for line in document.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            names_tests = False
        elif cells[0] == "what":
            names_tests = cells[-1] == "test"
        elif names_tests and set(line) - set("|- "):
            yield cells


def names(cell: str) -> list[str]:
    """The tests that a cell names."""
    return re.findall(r"`(\w+)`", cell)


@cache
def files_by_test() -> dict[str, list[Path]]:
    """Where functions of each name stand, in tests and in the Rust files that have theirs at the bottom."""
    files = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("tests/rust/**/*.rs"), *ROOT.glob("tests/python/**/test_*.py")]
    function = re.compile(r"^ *(?:async )?(?:def|fn) (\w+)", re.MULTILINE)
    found: dict[str, list[Path]] = {}
    for file in files:
        for name in function.findall(file.read_text("utf-8")):
            found.setdefault(name, []).append(file)
    return found
