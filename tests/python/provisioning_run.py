"""Run `provisioning_device.py` with some Python against a local hub on standard ports, which official packages need.

A program, to be run in a network of its own: `python provisioning_run.py DEVICE_PYTHON FOLDER`; certificates are made
in the folder. Prints as JSON what came of each case, who sent what, and what devices said about themselves.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ferrohub import LocalHub
from support import run
from x509_certificates import make_ca, make_certificate


def case(
    name: str, *, key: str = "", certificate: str = "", websockets: bool = False, asyncio: bool = False
) -> dict[str, Any]:
    """A device of this registration id, and what it shows."""
    return {
        "name": name,
        "key": key,
        "certificate": certificate,
        "websockets": websockets,
        "asyncio": asyncio,
    }


def main(device_python: str, folder: Path) -> None:
    make_certificate(folder, "own", "own-certificate")
    make_ca(folder, "ca")
    make_certificate(folder, "by-ca", "by-ca", ca="ca")
    with LocalHub(standard_ports=True) as hub:
        hub.dps.enroll("own-certificate", certificate=(folder / "own.pem").read_text())
        hub.dps.enroll("factory", group=True, certificate=(folder / "ca.pem").read_text())
        own = hub.dps.enroll("own-key", device_id="sensor", payload={"b": 1, "a": None})
        fleet = hub.dps.enroll("fleet", group=True)
        disabled = hub.dps.enroll("disabled", status="disabled")
        failing = hub.dps.enroll("failing")
        hub.faults.fail_registrations("failing")
        cases = [
            case("own-key", key=own.device_key("own-key")),
            case("of-the-fleet", key=fleet.device_key("of-the-fleet"), websockets=True, asyncio=True),
            case("own-certificate", certificate=str(folder / "own"), asyncio=True),
            case("by-ca", certificate=str(folder / "by-ca"), websockets=True),
            case("disabled", key=disabled.device_key("disabled"), asyncio=True),
            case("failing", key=failing.device_key("failing")),
            case("of-nobodys-fleet", key=fleet.device_key("another")),
        ]
        program = Path(__file__).parent / "provisioning_device.py"
        ran = run(device_python, program, json.dumps(cases), hub.id_scope, hub.ca_file, timeout=60)
        assert ran.code == 0, ran.err
        senders = {message.body.decode(): message.device_id for message in hub.telemetry()}
        registered = [found for enrollment in hub.dps.enrollments() for found in enrollment.registrations]
        payloads = {found.registration_id: found.payload for found in registered}
    outcomes = json.loads(ran.out.splitlines()[-1])
    print(json.dumps({"outcomes": outcomes, "senders": senders, "payloads": payloads}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
