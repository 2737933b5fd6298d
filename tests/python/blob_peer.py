"""The storage's side of file upload, without Azure's package: what `curl --upload-file` would do.

It runs under the Python that has Microsoft's packages, too.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}


def path_of(info: Mapping[str, Any]) -> str:
    """The place that a device was told of, without its host."""
    return f"/{info['containerName']}/{quote(info['blobName'])}{info['sasToken']}"


def ask_blob(
    info: Mapping[str, Any],
    method: str = "GET",
    query: str = "",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Ask that place: status, headers by their names in lower case, body."""
    trust = ssl.create_default_context(cafile=Path(os.environ["FERROHUB_HOME"]) / "ca.pem")
    with contextlib.closing(http.client.HTTPSConnection(info["hostName"], timeout=20, context=trust)) as storage:
        storage.request(method, path_of(info) + query, body, dict(headers or {}))
        answer = storage.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def put_blob(info: Mapping[str, Any], content: bytes) -> None:
    """Upload a file at once."""
    status, _, answer = ask_blob(info, "PUT", "", content, BLOCK_BLOB)
    assert status == 201, answer
