"""IoT Edge: how a module's program finds its identity, whom to trust, and who signs for it.

On an Edge device the environment names the workload API, which signs for the module. In a debugger the environment has
the module's connection string, as Visual Studio Code sets it.
https://learn.microsoft.com/azure/iot-edge/iot-edge-runtime
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ferrohub import _connection_strings as connection_strings
from ferrohub._native import CoreError, EdgeWorkload
from ferrohub.device._errors import public_error
from ferrohub.device.auth.sastoken import RenewableSasToken, SasTokenError
from ferrohub.device.auth.signing_mechanism import SigningMechanism
from ferrohub.device.connection_options import USER_AGENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub._native import Operation

_ON_A_DEVICE = (
    "IOTEDGE_IOTHUBHOSTNAME",
    "IOTEDGE_DEVICEID",
    "IOTEDGE_MODULEID",
    "IOTEDGE_GATEWAYHOSTNAME",
    "IOTEDGE_MODULEGENERATIONID",
    "IOTEDGE_WORKLOADURI",
    "IOTEDGE_APIVERSION",
)
_IN_A_DEBUGGER = ("EdgeHubConnectionString", "EdgeModuleCACertificateFile")
_NOT_CONFIGURED = "IoT Edge environment not configured correctly"


class IoTEdgeError(Exception):
    """The workload API gave no answer that can be used."""


class IoTEdgeHsm(SigningMechanism):
    """The workload API as a module uses it. Each answer takes 30 s at most.

    Raises ValueError for an address that isn't `unix:///path` or `http://host[:port]`.
    """

    def __init__(self, module_id: str, generation_id: str, workload_uri: str, api_version: str) -> None:
        try:
            self.workload = EdgeWorkload(workload_uri, api_version, module_id, generation_id, USER_AGENT)
        except CoreError as error:
            raise public_error(error) from None

    def get_certificate(self) -> str:
        """The CA certificates to trust, as PEM. Raises IoTEdgeError."""
        return _answer(self.workload.trust_bundle())

    def sign(self, data_str: str | bytes) -> str:
        """The signature over a text with the module's key, in base64. Raises IoTEdgeError."""
        return _answer(self.workload.sign(data_str if isinstance(data_str, str) else data_str.decode()))


def _answer(operation: Operation) -> str:
    try:
        answer: bytes = operation.wait()
    except CoreError as error:
        kind, message, causes = error.args
        raise IoTEdgeError(": ".join([message, *causes])) if kind == "workload" else public_error(error) from None
    return answer.decode()


class Environment(NamedTuple):
    """What a module client is made from on IoT Edge; it has a key, or someone who signs."""

    host_name: str
    gateway_host_name: str
    device_id: str
    module_id: str
    trusted: str
    key: str | None
    hsm: IoTEdgeHsm | None


def read_environment() -> Environment:
    """The module's identity and the certificates it trusts, which the workload API is asked for.

    Raises OSError and ValueError.
    """
    values = {name: os.environ[name] for name in (*_ON_A_DEVICE, *_IN_A_DEBUGGER) if name in os.environ}
    missing = [name for name in _ON_A_DEVICE if name not in values]
    return _in_a_debugger(values, missing) if missing else _on_a_device(values)


def _on_a_device(values: dict[str, str]) -> Environment:
    host_name, device_id, module_id, gateway_host_name, generation_id, uri, version = (
        values[name] for name in _ON_A_DEVICE
    )
    try:
        hsm = IoTEdgeHsm(module_id, generation_id, uri, version)
    except ValueError as error:
        raise OSError(f"{_NOT_CONFIGURED}: IOTEDGE_WORKLOADURI can't be used: {error}") from error
    try:
        trusted = hsm.get_certificate()
    except IoTEdgeError as error:
        raise OSError(f"Unexpected failure in IoTEdge: {error}") from error
    return Environment(host_name, gateway_host_name, device_id, module_id, trusted, None, hsm)


def _in_a_debugger(values: dict[str, str], missing: list[str]) -> Environment:
    for name in _IN_A_DEBUGGER:
        if name not in values:
            raise OSError(f"{_NOT_CONFIGURED}: {missing[0]} is not set, nor is {name}") from KeyError(name)
    text, ca_file = (values[name] for name in _IN_A_DEBUGGER)
    try:
        with open(ca_file, encoding="utf-8") as file:
            trusted = file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"Invalid CA certificate file: {error}") from error
    parts = connection_strings.parse_of_device(text)
    names = ("HostName", "GatewayHostName", "DeviceId", "ModuleId", "SharedAccessKey")
    for name in names:
        if name not in parts:
            raise ValueError(f"Invalid Connection String: EdgeHubConnectionString has no {name}")
    host_name, gateway_host_name, device_id, module_id, key = (parts[name] for name in names)
    return Environment(host_name, gateway_host_name, device_id, module_id, trusted, key, None)


def check_signing(hsm: IoTEdgeHsm, resource: str) -> None:
    """See that it signs, so that what is wrong is told now. Raises ValueError."""
    try:
        RenewableSasToken(resource, hsm)
    except SasTokenError as error:
        sentence = "Could not create a SasToken using the values provided, or in the Edge environment"
        raise ValueError(f"{sentence}: {error.__cause__}") from error
