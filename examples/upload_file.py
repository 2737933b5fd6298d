"""Be the device: upload a file, and tell the hub how it went.

Run it:

    export DEVICE_CONNECTION_STRING='...'     # `ferrohub connection-string myFirstDevice` prints it
    export SSL_CERT_FILE='...'                # for a local hub: `ferrohub up` prints it
    python upload_file.py FILE
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from urllib.parse import quote

from azure.iot.device import IoTHubDeviceClient


def main(file: Path) -> None:
    """Upload this file under its name."""
    with IoTHubDeviceClient.create_from_connection_string(os.environ["DEVICE_CONNECTION_STRING"]) as client:
        place = client.get_storage_info_for_blob(file.name)
        # `BlobClient.from_blob_url` of azure-storage-blob takes the same address, and large files in blocks.
        storage = http.client.HTTPSConnection(place["hostName"], timeout=60)
        address = f"/{place['containerName']}/{quote(place['blobName'])}{place['sasToken']}"
        storage.request("PUT", address, file.read_bytes(), {"x-ms-blob-type": "BlockBlob"})
        answer = storage.getresponse()
        client.notify_blob_upload_status(
            place["correlationId"], answer.status == http.client.CREATED, answer.status, answer.reason
        )
        print(place["blobName"], answer.status, answer.reason)
        storage.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
