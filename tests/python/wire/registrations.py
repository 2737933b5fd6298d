"""What a provisioning client is made to do while its packets are recorded; as `scenarios` for clients of a hub.

None fails: the official client would stay connected, and nothing ends that.
"""

from __future__ import annotations

from typing import Any

from any_client import done
from azure.iot.device import X509
from wire.stage import HOST, KEY, Stage

ID_SCOPE = "0ne0000"
ASSIGNING = '{"operationId": "4.d0a6.op", "status": "assigning"}'
ASSIGNED = """
{"operationId": "4.d0a6.op", "status": "assigned",
 "registrationState": {"assignedHub": "h", "deviceId": "d", "substatus": "initialAssignment", "payload": {"b": 1}}}
"""


def _with_key(stage: Stage, host: str = HOST, **options: Any) -> Any:
    cls = stage.sort.provisioning
    return cls.create_from_symmetric_key(host, stage.device, ID_SCOPE, KEY, **{**stage.sort.options, **options})


async def assigned_after_a_while(stage: Stage) -> None:
    stage.back.registrations = [
        (503, "&retry-after=0", ""),
        (202, "&retry-after=3", ASSIGNING),
        (202, "&retry-after=0", ASSIGNING),
        (429, "&retry-after=0", ""),
        (200, "", ASSIGNED),
    ]
    client = _with_key(stage)
    client.provisioning_payload = {"b": "\u00e9", "a": [1, None]}
    result = await done(client.register())
    stage.tell(result=str(result))


async def assigned_at_once_by_certificate_through_a_gateway(stage: Stage) -> None:
    stage.back.registrations = [(200, "", ASSIGNED)]
    x509 = X509(str(stage.folder / "server.pem"), str(stage.folder / "server.key"))
    client = stage.sort.provisioning.create_from_x509_certificate(
        "dps.example", stage.device, ID_SCOPE, x509, gateway_hostname=HOST, keep_alive=30, **stage.sort.options
    )
    await done(client.register())
