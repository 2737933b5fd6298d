"""A device that uploads files, with any package that has the names of azure.iot.device: ours or Microsoft's.

`python upload_device.py CONNECTION_STRING`: the synchronous client uploads with azure-storage-blob where that is
installed, in one piece and in blocks; the asyncio client as `curl` would. Prints as JSON what it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib
import json
import sys
from typing import Any
from urllib.parse import quote

from azure.iot.device import IoTHubDeviceClient, aio

LARGE = b"0123456789abcdef" * 65536


def path(info: Any) -> str:
    return f"/{info['containerName']}/{quote(info['blobName'])}{info['sasToken']}"


def put(info: Any, content: bytes) -> None:
    with contextlib.closing(http.client.HTTPSConnection(info["hostName"], timeout=30)) as storage:
        storage.request("PUT", path(info), content, {"x-ms-blob-type": "BlockBlob"})
        answer = storage.getresponse()
        assert answer.status == 201, answer.read()


def upload(info: Any, content: bytes) -> str:
    """Upload as the tutorials do; which way was taken."""
    try:
        blobs = importlib.import_module("azure.storage.blob")
    except ImportError:
        put(info, content)
        return "http"
    # Small limits, so that the file comes in blocks.
    limits: Any = {"max_single_put_size": 65536, "max_block_size": 65536}
    url = f"https://{info['hostName']}{path(info)}"
    with blobs.BlobClient.from_blob_url(url, **limits) as blob:
        blob.upload_blob(b"to be replaced")
        blob.upload_blob(content, overwrite=True, metadata={"made": "here"})
        assert blob.download_blob().readall() == content
        properties = blob.get_blob_properties()
        assert (properties.size, properties.metadata) == (len(content), {"made": "here"})
    return "azure-storage-blob"


async def upload_with_asyncio(connection_string: str) -> Any:
    client = aio.IoTHubDeviceClient.create_from_connection_string(connection_string)
    info = await client.get_storage_info_for_blob("small.txt")
    put(info, b"small")
    await client.notify_blob_upload_status(info["correlationId"], True, 200, "with asyncio")
    await client.shutdown()
    return info


def main(connection_string: str) -> None:
    client = IoTHubDeviceClient.create_from_connection_string(connection_string)
    info = client.get_storage_info_for_blob("a b/large.bin")
    way = upload(info, LARGE)
    client.notify_blob_upload_status(info["correlationId"], True, 201, "uploaded")
    client.shutdown()
    print(json.dumps({"way": way, "infos": [info, asyncio.run(upload_with_asyncio(connection_string))]}))


if __name__ == "__main__":
    main(sys.argv[1])
