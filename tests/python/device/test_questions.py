"""What the clients ask over HTTPS is what the official package asks (tests/golden/wire/https.json), agent aside."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from support import official_python
from wire.record import golden_questions, record_questions

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl"),
]


@pytest.mark.parametrize("package", ["ours", "official"])
def test_uploads_and_methods_are_asked_for_as_was_recorded(package: str) -> None:
    python = Path(sys.executable) if package == "ours" else official_python()
    asked, recorded = record_questions(python), golden_questions()
    assert list(asked) == list(recorded)
    for scenario, question in recorded.items():
        assert asked[scenario] == question, scenario
