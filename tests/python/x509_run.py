"""Run `x509_device.py` with some Python against a local hub on standard ports, which official packages need.

A program, to be run in a network of its own: `python x509_run.py DEVICE_PYTHON FOLDER`; certificates are made in the
folder. Prints as JSON what came of each case, and who sent what.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import run
from x509_certificates import make_ca, make_certificate, thumbprint


def case(name: str, certificate: str, *ids: str, websockets: bool = False, asyncio: bool = False) -> dict[str, Any]:
    """A client of a device or module that shows this certificate."""
    return {
        "name": name,
        "certificate": certificate,
        "ids": ids,
        "websockets": websockets,
        "asyncio": asyncio,
    }


CASES = [
    case("SHA-1 thumbprint", "own", "by-sha1"),
    case("SHA-256 thumbprint, WebSocket", "own", "by-sha256", websockets=True),
    case("thumbprint of a module, asyncio", "own", "by-sha1", "module", asyncio=True),
    case("CA", "by-ca", "by-ca"),
    case("CA, asyncio, WebSocket", "by-ca", "by-ca", websockets=True, asyncio=True),
    case("CA, version 1", "by-ca-1", "by-ca"),
    case("CA, module", "by-ca-module", "by-ca", "module"),
    case("other thumbprint", "other", "by-sha1"),
    case("other CA", "by-stranger", "by-ca"),
    case("other CA, version 1", "by-stranger-1", "by-ca"),
    case("other name", "by-ca", "by-ca", "module"),
    case("keys", "by-ca", "with-keys"),
    case("nobody", "own", "nobody"),
    case("disabled", "own", "disabled"),
]


def main(device_python: str, folder: Path) -> None:
    make_certificate(folder, "own", "whatever", version=1)
    make_certificate(folder, "other", "by-sha1")
    make_ca(folder, "stranger")
    ca = make_ca(folder, "ca")
    make_certificate(folder, "by-ca", "by-ca", ca="ca")
    make_certificate(folder, "by-ca-1", "by-ca", ca="ca", version=1)
    make_certificate(folder, "by-ca-module", "by-ca/module", ca="ca")
    make_certificate(folder, "by-stranger", "by-ca", ca="stranger")
    make_certificate(folder, "by-stranger-1", "by-ca", ca="stranger", version=1)
    cases = [{**one, "certificate": str(folder / one["certificate"])} for one in CASES]
    with LocalHub(standard_ports=True) as hub:
        hub.add_ca_certificate(ca)
        registry = IoTHubRegistryManager(hub.connection_string)
        sha1, sha256 = (thumbprint(folder / "own.pem", name) for name in ("sha1", "sha256"))
        registry.create_device_with_x509("by-sha1", sha1, None, "enabled")
        registry.create_module_with_x509("by-sha1", "module", None, "ab" * 20, sha1)
        registry.create_device_with_x509("by-sha256", sha256.upper(), None, "enabled")
        registry.create_device_with_certificate_authority("by-ca", "enabled")
        registry.create_module_with_certificate_authority("by-ca", "module", None)
        registry.create_device_with_sas("with-keys", "", "", "enabled")
        registry.create_device_with_x509("disabled", sha1, None, "disabled")
        program = Path(__file__).parent / "x509_device.py"
        ran = run(device_python, program, json.dumps(cases), hub.ca_file, timeout=60)
        assert ran.code == 0, ran.err
        senders = {message.body.decode(): [message.device_id, message.module_id] for message in hub.telemetry()}
    print(json.dumps({"outcomes": json.loads(ran.out.splitlines()[-1]), "senders": senders}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
