"""Fixtures of the service client's tests: a recording hub that is trusted, and a manager for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import golden_requests
import pytest
from ferrohub.service import IoTHubRegistryManager
from recording_hub import Certificates, RecordingHub, make_certificates


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """Reads a file of facts recorded from the official package."""
    return golden_requests.golden


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
