"""Devices that ask for their hub, with any package that has the names of azure.iot.device: ours or Microsoft's.

`python provisioning_device.py CASES ID_SCOPE CA_FILE`: registers each of the cases (a JSON list), all at once,
connects to the hub it is given and sends its registration id. Prints as JSON what came of each: where it is registered,
or the exceptions.
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
from azure.iot.device import X509


async def outcome(case: dict[str, Any], id_scope: str, ca: str) -> Any:
    """What comes of a case; its clients are synchronous or asyncio."""
    sdk: Any = azure.iot.device.aio if case["asyncio"] else azure.iot.device
    options = {"websockets": case["websockets"], "server_verification_cert": ca}
    name, key, certificate = case["name"], case["key"], case["certificate"]
    x509 = certificate and X509(f"{certificate}.pem", f"{certificate}.key")

    async def run(call: Any) -> Any:
        value = await asyncio.get_running_loop().run_in_executor(None, call)
        return await value if inspect.isawaitable(value) else value

    cls = sdk.ProvisioningDeviceClient
    if key:
        client = cls.create_from_symmetric_key("localhost", name, id_scope, key, **options)
    else:
        client = cls.create_from_x509_certificate("localhost", name, id_scope, x509, **options)
    client.provisioning_payload = {"name": name}
    try:
        result = await run(client.register)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return [type(error).__name__, type(error.__cause__).__name__, str(error.__cause__)]
    state = result.registration_state
    cls = sdk.IoTHubDeviceClient
    if key:
        device = cls.create_from_symmetric_key(key, state.assigned_hub, state.device_id, **options)
    else:
        device = cls.create_from_x509_certificate(x509, state.assigned_hub, state.device_id, **options)
    await run(device.connect)
    await run(lambda: device.send_message(name))
    await run(device.shutdown)
    return [result.status, state.device_id, state.sub_status, state.response_payload]


async def main(cases: list[dict[str, Any]], id_scope: str, ca: str) -> None:
    outcomes = await asyncio.gather(*(outcome(case, id_scope, ca) for case in cases))
    print(json.dumps({case["name"]: came for case, came in zip(cases, outcomes)}))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_text("utf-8")))
