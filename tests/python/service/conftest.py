"""Fixtures of the service client's tests: a recording hub that is trusted, and a manager for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from ferrohub.service import IoTHubRegistryManager
from recording_hub import Certificates, RecordingHub, make_certificates

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """Reads a file of facts recorded from the official package."""
    return lambda name: json.loads((GOLDEN / name).read_text("utf-8"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def recorder(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingHub]:
    """A recording hub whose CA is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    with RecordingHub(certificates) as hub:
        yield hub


@pytest.fixture
def manager(recorder: RecordingHub) -> IoTHubRegistryManager:
    return IoTHubRegistryManager(recorder.connection_string())
