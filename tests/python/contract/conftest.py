"""Fixtures of the contract tests: a client of every sort, and a record of what has been called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recorded_calls import recording
from recording_hub import Certificates, make_certificates
from sorts_of_clients import Sort
from tls_hub import TlsHub


@pytest.fixture(scope="module")
def recorded() -> Iterator[None]:
    """Calls of the public API are recorded."""
    with recording():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The check of what has been called comes last."""
    items.sort(key=lambda item: item.name.startswith("test_every_callable_that_is_built"))


@pytest.fixture
def client(sort: Sort) -> Iterator[Any]:
    """A client of this sort, made from its connection string."""
    client = sort.cls.create_from_connection_string(sort.connection_string)
    yield client
    with contextlib.suppress(Exception):  # the test may have shut it down
        sort.run(client.shutdown())


@pytest.fixture(scope="session")
def server_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA, and what it signed for servers of the tests."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def certificates(server_certificates: Certificates) -> Path:
    """A folder with ca.pem, server.pem and server.key."""
    return server_certificates.ca.parent


@pytest.fixture
def tls_hub(certificates: Path) -> Iterator[TlsHub]:
    """A hub that looks at certificates."""
    with TlsHub(certificates) as hub:
        yield hub
