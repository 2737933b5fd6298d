"""File upload: the device asks where to, uploads to the hub's blob endpoint, and tells how it went."""

from __future__ import annotations

from typing import Any

from any_client import done, elsewhere
from azure.storage.blob import BlobClient
from blob_peer import path_of, put_blob
from interop.stage import Stage

FILE = b"0123456789abcdef" * 65536


async def upload(stage: Stage) -> Any:
    client = stage.client()
    info = await done(client.get_storage_info_for_blob("a b/\u00e9.txt"))
    await elsewhere(put_blob, info, b"all is well")
    answer = await done(client.notify_blob_upload_status(info["correlationId"], True, 201, "\u00e9"))
    keys = {"answer": answer, "keys": sorted(info), "connected": client.connected}
    return {**keys, **await stage.hub.uploads(stage.device)}


async def upload_that_fails(stage: Stage) -> Any:
    client = stage.client()
    info = await done(client.get_storage_info_for_blob("a"))
    await done(client.notify_blob_upload_status(info["correlationId"], False, 500, "the camera is broken"))
    return await stage.hub.uploads(stage.device)


async def upload_with_azure_storage_blob(stage: Stage) -> Any:
    """In blocks, with the package that tutorials name."""
    client = stage.client()
    info = await done(client.get_storage_info_for_blob("large"))
    await elsewhere(_upload_in_blocks, info)
    await done(client.notify_blob_upload_status(info["correlationId"], True, 200, ""))
    return await stage.hub.uploads(stage.device)


def _upload_in_blocks(info: Any) -> None:
    # Small limits, so that the file comes in blocks.
    limits: Any = {"max_single_put_size": 65536, "max_block_size": 65536}
    with BlobClient.from_blob_url(f"https://{info['hostName']}{path_of(info)}", **limits) as blob:
        blob.upload_blob(b"to be replaced")
        blob.upload_blob(FILE, overwrite=True, metadata={"made": "here"})
        assert blob.download_blob().readall() == FILE
        properties = blob.get_blob_properties()
        assert (properties.size, properties.metadata) == (len(FILE), {"made": "here"})
