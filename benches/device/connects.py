"""Clients of many devices, made and connected, 50 at once. Trusts the hub's CA, or what the system trusts."""

import asyncio

from azure.iot.device.aio import IoTHubDeviceClient
from measure import AT_ONCE, CA_FILE, CALLS, device, device_id, measured, trusted

TRUST = {"server_verification_cert": trusted()} if CA_FILE else {}


async def connected(number: int) -> IoTHubDeviceClient:
    """One client."""
    client = IoTHubDeviceClient.create_from_connection_string(device(device_id(number)), **TRUST)
    await client.connect()
    return client


async def main() -> None:
    """Connect them."""
    clients = [await connected(0)]
    with measured():
        for first in range(1, CALLS + 1, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, CALLS + 1))
            clients += await asyncio.gather(*map(connected, numbers))
    assert all(client.connected for client in clients)
    for client in clients:
        await client.shutdown()


asyncio.run(main())
