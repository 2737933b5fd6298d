"""Clients that show certificates, with any package that has the names of azure.iot.device: ours or Microsoft's.

`python x509_device.py CASES CA_FILE`: connects each of the cases (a JSON list), sends its name, reads its twin, and
prints as JSON what came of each: `ok`, or the name of the exception.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import azure.iot.device
import azure.iot.device.aio


async def outcome(case: dict[str, Any], ca: str) -> str:
    """What comes of a case; its client is synchronous or asyncio."""
    sdk: Any = azure.iot.device.aio if case["asyncio"] else azure.iot.device
    cls = sdk.IoTHubModuleClient if len(case["ids"]) == 2 else sdk.IoTHubDeviceClient
    x509 = azure.iot.device.X509(f"{case['certificate']}.pem", f"{case['certificate']}.key")
    client = cls.create_from_x509_certificate(
        x509, "localhost", *case["ids"], websockets=case["websockets"], server_verification_cert=ca
    )

    async def run(call: Any) -> Any:
        return await call if inspect.isawaitable(call) else call

    try:
        await run(client.connect())
        await run(client.send_message(case["name"]))
        twin = await run(client.get_twin())
        assert twin["desired"]["$version"] == 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return type(error).__name__
    finally:
        await run(client.shutdown())
    return "ok"


async def main(cases: list[dict[str, Any]], ca: str) -> None:
    print(json.dumps({case["name"]: await outcome(case, ca) for case in cases}))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), Path(sys.argv[2]).read_text("utf-8")))
