"""What factories say of two mistakes at once: `python factory_run.py`, with either package.

Prints as JSON, for each factory and each pair of mistakes, which of the two is told.
"""

from __future__ import annotations

import itertools
import json
import os
import warnings
from typing import Any, Callable

from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, ProvisioningDeviceClient

KEY = "Zm9vYmFy"
NO_KEY = "Zm9vY"
NO_FILE = "/does/not/exist.pem"
FUTURE = 2**40
ENVIRONMENT = ("EdgeHubConnectionString", "EdgeModuleCACertificateFile")

# A mistake: the argument it is in, and what is wrong there. Two in the same argument can't be made at once.
Mistake = tuple[str, Any]

VALUES: dict[str, Mistake] = {
    "keep alive": ("keep_alive", 0),
    "keep alive of another type": ("keep_alive", "x"),
    "cipher of another type": ("cipher", None),
    "unknown cipher": ("cipher", "BOGUS"),
    "no proxy": ("proxy_options", "http://p:8080"),
    "no certificates": ("server_verification_cert", "nonsense"),
}
OF_HUBS: dict[str, Mistake] = {
    "unknown argument": ("bogus", 1),
    **VALUES,
    "interval": ("connection_retry_interval", 0),
}
TIME_TO_LIVE: dict[str, Mistake] = {"time to live": ("sastoken_ttl", "3600")}


def string(**more: str) -> str:
    parts = {"HostName": "h", "DeviceId": "d", "SharedAccessKey": KEY, **more}
    return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def token(resource: str, expires: object = FUTURE) -> str:
    return f"SharedAccessSignature sr={resource.replace('/', '%2F')}&sig=c&se={expires}"


OF_MODULE = string(ModuleId="m", GatewayHostName="g")


def environment(text: str = OF_MODULE, ca_file: str = os.devnull) -> dict[str, str]:
    return dict(zip(ENVIRONMENT, (text, ca_file)))


def from_environment(environ: dict[str, str], **arguments: Any) -> Any:
    for name in ENVIRONMENT:
        os.environ.pop(name, None)
    os.environ.update(environ)
    return IoTHubModuleClient.create_from_edge_environment(**arguments)


ID: dict[str, Any] = {"hostname": "h", "device_id": "d"}
OF_SERVICE: dict[str, Any] = {"provisioning_host": "h", "id_scope": "s", "registration_id": "r"}
KEY_OF_NOTHING: dict[str, Mistake] = {"key": ("symmetric_key", NO_KEY)}
CERTIFICATE: dict[str, Mistake] = {"no certificate": ("x509", None), "no file": ("x509", X509(NO_FILE, NO_FILE))}
NOT_OURS: dict[str, Mistake] = {"argument of others": ("sastoken_ttl", 60)}
NO_REGISTRATION: dict[str, Mistake] = {"no registration": ("registration_id", "")}

FACTORIES: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, Mistake]]] = {
    "connection string": (
        IoTHubDeviceClient.create_from_connection_string,
        {"connection_string": string()},
        {
            **OF_HUBS,
            **TIME_TO_LIVE,
            "argument of others": ("gateway_hostname", "g"),
            "no string": ("connection_string", "none"),
            "string with a certificate": ("connection_string", string(SharedAccessKey="", x509="true")),
            "string of a policy": ("connection_string", string(DeviceId="", SharedAccessKeyName="n")),
            "key": ("connection_string", string(SharedAccessKey=NO_KEY)),
        },
    ),
    "token": (
        IoTHubDeviceClient.create_from_sastoken,
        {"sastoken": token("h/devices/d")},
        {
            **OF_HUBS,
            **NOT_OURS,
            "no token": ("sastoken", "none"),
            "token for something else": ("sastoken", token("h/dev/d")),
            "token for a module": ("sastoken", token("h/devices/d/modules/m")),
            "expired token": ("sastoken", token("h/devices/d", 5)),
            "expiry that is no number": ("sastoken", token("h/devices/d", "soon")),
        },
    ),
    "key": (
        IoTHubDeviceClient.create_from_symmetric_key,
        {"symmetric_key": KEY, **ID},
        {**OF_HUBS, **TIME_TO_LIVE, **KEY_OF_NOTHING},
    ),
    "certificate": (
        IoTHubDeviceClient.create_from_x509_certificate,
        {"x509": X509(NO_FILE, NO_FILE), **ID},
        {**OF_HUBS, **NOT_OURS, **CERTIFICATE},
    ),
    "certificate of a module": (
        IoTHubModuleClient.create_from_x509_certificate,
        {"x509": X509(NO_FILE, NO_FILE), **ID, "module_id": "m"},
        {**OF_HUBS, **NOT_OURS, **CERTIFICATE},
    ),
    "environment": (
        from_environment,
        {"environ": environment()},
        {
            **{name: mistake for name, mistake in OF_HUBS.items() if name != "no certificates"},
            **TIME_TO_LIVE,
            "argument of others": ("gateway_hostname", "g"),
            "no environment": ("environ", {}),
            "no file": ("environ", environment(ca_file=NO_FILE)),
            "string without a module": ("environ", environment(string(GatewayHostName="g"))),
            "key": ("environ", environment(OF_MODULE.replace(KEY, NO_KEY))),
        },
    ),
    "registration by key": (
        ProvisioningDeviceClient.create_from_symmetric_key,
        {"symmetric_key": KEY, **OF_SERVICE},
        {
            **VALUES,
            **TIME_TO_LIVE,
            **KEY_OF_NOTHING,
            **NO_REGISTRATION,
            "unknown argument": ("auto_connect", True),
        },
    ),
    "registration by certificate": (
        ProvisioningDeviceClient.create_from_x509_certificate,
        {"x509": X509(NO_FILE, NO_FILE), **OF_SERVICE},
        {**VALUES, **NOT_OURS, **CERTIFICATE, **NO_REGISTRATION},
    ),
}


def told(factory: Callable[..., Any], right: dict[str, Any], *mistakes: Mistake) -> str:
    """Class and text of the error."""
    try:
        factory(**{**right, **dict(mistakes)})
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"{mistakes} are none")


def which(factory: Callable[..., Any], right: dict[str, Any], mistakes: dict[str, Mistake]) -> dict[str, str]:
    """For each pair of mistakes the one that is told."""
    alone = {name: told(factory, right, mistake) for name, mistake in mistakes.items()}
    assert len(set(alone.values())) == len(alone), f"two can't be told apart: {alone}"
    names = {text: name for name, text in alone.items()}
    return {
        f"{one}, {other}": names.get(text := told(factory, right, mistakes[one], mistakes[other]), text)
        for one, other in itertools.combinations(mistakes, 2)
        if mistakes[one][0] != mistakes[other][0]
    }


if __name__ == "__main__":
    # Of the official package: it uses what Python has deprecated.
    warnings.simplefilter("ignore")
    print(json.dumps({name: which(*factory) for name, factory in FACTORIES.items()}))
