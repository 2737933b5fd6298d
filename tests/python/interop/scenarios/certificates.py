"""Certificates in place of keys: those that the hub asks for, and others."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from any_client import done, elsewhere
from interop.stage import MODULE, Stage, error_of
from x509_certificates import make_ca, make_certificate, thumbprint


async def certificates_with_thumbprints(stage: Stage) -> Any:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificate(folder, "own", "whatever", version=1)
        await _by_thumbprint(stage, thumbprint(folder / "own.pem", "sha1").upper(), None)
        module = ("ab" * 20, thumbprint(folder / "own.pem", "sha256"))
        await elsewhere(stage.registry.update_module_with_x509, stage.device, MODULE, None, "*", *module)
        for client in (stage.certified(folder / "own"), stage.certified(folder / "own", MODULE)):
            await done(client.send_message("by thumbprint"))
    return await stage.hub.telemetry(stage.device)


async def certificates_of_a_ca(stage: Stage) -> Any:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await stage.hub.add_ca_certificate(make_ca(folder, "ca"))
        await _by_ca(stage)
        make_certificate(folder, "device", stage.device, ca="ca")
        make_certificate(folder, "version 1", stage.device, ca="ca", version=1)
        make_certificate(folder, "module", f"{stage.device}/{MODULE}", ca="ca")
        for certificate, *module in (("device",), ("version 1",), ("module", MODULE)):
            client = stage.certified(folder / certificate, *module)
            await done(client.send_message(certificate))
            await done(client.disconnect())
    return await stage.hub.telemetry(stage.device)


async def certificates_of_others(stage: Stage) -> Any:
    outcomes: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        async def connect(certificate: str, *module: str) -> list[str]:
            return await error_of(stage.certified(folder / certificate, *module).connect)

        await stage.hub.add_ca_certificate(make_ca(folder, "ca"))
        make_ca(folder, "stranger")
        make_certificate(folder, "own", stage.device, ca="ca")
        make_certificate(folder, "other CA", stage.device, ca="stranger")
        make_certificate(folder, "other CA, version 1", stage.device, ca="stranger", version=1)
        outcomes["keys"] = await connect("own")
        await _by_ca(stage)
        outcomes["other name"] = await connect("own", MODULE)
        for certificate in ("other CA", "other CA, version 1"):
            outcomes[certificate] = await connect(certificate)
        await _by_thumbprint(stage, "ab" * 20, None)
        outcomes["other thumbprint"] = await connect("own")
    return outcomes


async def _by_thumbprint(stage: Stage, primary: str, secondary: str | None) -> None:
    await elsewhere(stage.registry.update_device_with_x509, stage.device, "*", primary, secondary, "enabled")


async def _by_ca(stage: Stage) -> None:
    await elsewhere(stage.registry.update_device_with_certificate_authority, stage.device, "*", "enabled")
    await elsewhere(stage.registry.update_module_with_certificate_authority, stage.device, MODULE, None, "*")
