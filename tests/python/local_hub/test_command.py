"""The command `ferrohub`: what it prints, what it leaves behind, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import DEVICE, MODULE, Program, run

COMMAND = (sys.executable, "-m", "ferrohub")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A home of its own: another hub's state file is not to be found."""
    return {"FERROHUB_HOME": str(tmp_path / "home")}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_up_says_how_to_reach_it_and_ends_well(end: signal.Signals, home: dict[str, str]) -> None:
    state_file = Path(home["FERROHUB_HOME"], "hub.json")
    with Program(*COMMAND, "up", "--port", "0", env=home) as hub:
        connection_string = hub.wait_for("HostName=").strip()
        assert hub.wait_for("SSL_CERT_FILE").strip() == f"export SSL_CERT_FILE={home['FERROHUB_HOME']}/ca.pem"
        assert hub.wait_for("BUNDLE").strip() == f"export REQUESTS_CA_BUNDLE={home['FERROHUB_HOME']}/ca.pem"
        state = json.loads(state_file.read_text())
        assert (state["pid"], state["connectionString"]) == (hub.process.pid, connection_string)
        assert state_file.stat().st_mode & 0o777 == 0o600
        hub.process.send_signal(end)
        ended = hub.finish()
    assert (ended.code, ended.err) == (0, "")
    assert not state_file.exists()


def test_connection_string_asks_the_hub_of_this_machine(home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERROHUB_HOME", home["FERROHUB_HOME"])
    with Program(*COMMAND, "up", "--port", "0") as hub:
        service = hub.wait_for("HostName=").strip()
        registry = IoTHubRegistryManager(service)
        device = registry.create_device_with_sas(DEVICE, "", "", "enabled")
        module = registry.create_module_with_sas(DEVICE, MODULE, "", "", "")
        host = service.split(";")[0]

        ran = run(*COMMAND, "connection-string", DEVICE)
        key = device.authentication.symmetric_key.primary_key
        assert (ran.out, ran.err) == (f"{host};DeviceId={DEVICE};SharedAccessKey={key}\n", "")

        ran = run(*COMMAND, "connection-string", DEVICE, MODULE)
        key = module.authentication.symmetric_key.primary_key
        assert (ran.out, ran.err) == (f"{host};DeviceId={DEVICE};ModuleId={MODULE};SharedAccessKey={key}\n", "")

        ran = run(*COMMAND, "connection-string", "nobody")
        assert (ran.code, ran.out, ran.err) == (1, "", "ferrohub: the hub has no identity nobody: create it first\n")

        # --hub goes before the environment, which goes before the state file.
        with LocalHub() as other:
            ran = run(*COMMAND, "connection-string", DEVICE, env={"IOTHUB_CONNECTION_STRING": other.connection_string})
            assert "no identity" in ran.err
            ran = run(
                *COMMAND, "connection-string", DEVICE, "--hub", service,
                env={"IOTHUB_CONNECTION_STRING": other.connection_string},
            )  # fmt: skip
            assert ran.out.startswith(host)


def test_a_state_file_left_by_a_killed_hub_is_known_to_be_stale(home: dict[str, str]) -> None:
    with Program(*COMMAND, "up", "--port", "0", env=home) as hub:
        hub.wait_for("HostName=")
        hub.process.kill()
        hub.process.wait()
    assert Path(home["FERROHUB_HOME"], "hub.json").exists()
    ran = run(*COMMAND, "connection-string", DEVICE, env=home)
    assert ran.code == 1
    assert ran.err.startswith("ferrohub: no hub runs on this machine: start one with `ferrohub up`")
    # The next one takes its place.
    with Program(*COMMAND, "up", "--port", "0", env=home) as hub:
        hub.wait_for("HostName=")
        assert json.loads(Path(home["FERROHUB_HOME"], "hub.json").read_text())["pid"] == hub.process.pid


def test_a_second_hub_leaves_the_first_ones_state_file(home: dict[str, str]) -> None:
    with Program(*COMMAND, "up", "--port", "0", env=home) as first:
        first.wait_for("HostName=")
        with Program(*COMMAND, "up", "--port", "0", env=home) as second:
            second.wait_for("HostName=")
            assert json.loads(Path(home["FERROHUB_HOME"], "hub.json").read_text())["pid"] == first.process.pid
            second.interrupt()
            ended = second.finish()
        assert ended.code == 0
        assert f"another hub runs already (port {port_of(first)}, process {first.process.pid})" in ended.err
        assert Path(home["FERROHUB_HOME"], "hub.json").exists()


def port_of(hub: Program) -> str:
    return next(line for line in hub.lines if "HostName=" in line).split(";")[0].rpartition(":")[2]


def test_json_is_one_line_for_programs(home: dict[str, str]) -> None:
    with Program(*COMMAND, "up", "--port", "0", "--json", env=home) as hub:
        ready = json.loads(hub.next_line())
        assert IoTHubRegistryManager(ready["connectionString"])
        assert ready["caFile"] == f"{home['FERROHUB_HOME']}/ca.pem"
        ran = run(*COMMAND, "up", "--port", str(ready["port"]), "--json", env=home)
        assert ran.code == 1
        assert str(ready["port"]) in json.loads(ran.out)["error"]["message"]
        hub.interrupt()
        assert hub.finish().code == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nonsense", "no '='"),
        ("HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0", "SharedAccessKeyName"),
    ],
)
def test_a_connection_string_of_the_wrong_kind_is_a_clear_error(given: str, reason: str) -> None:
    ran = run(*COMMAND, "connection-string", DEVICE, "--hub", given)
    assert (ran.code, ran.out) == (1, "")
    assert reason in ran.err
    assert "c2VjcmV0" not in ran.err


def test_a_reader_that_goes_does_not_end_it(home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERROHUB_HOME", home["FERROHUB_HOME"])
    with subprocess.Popen([*COMMAND, "up", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as hub:
        try:
            assert hub.stdout is not None
            with hub.stdout as lines:
                connection_string = next(line.decode().strip() for line in lines if b"HostName=" in line)
            registry = IoTHubRegistryManager(connection_string)
            registry.create_device_with_sas(DEVICE, "", "", "enabled")
            device = f"{connection_string.split(';')[0]};DeviceId={DEVICE};SharedAccessKey="
            key = registry.get_device(DEVICE).authentication.symmetric_key.primary_key
            client = IoTHubDeviceClient.create_from_connection_string(device + key)
            client.connect()  # The hub has a line to print.
            client.shutdown()
            hub.send_signal(signal.SIGINT)
            assert hub.wait(10) == 0
            assert hub.stderr is not None
            assert hub.stderr.read() == b""
        finally:
            hub.kill()


def test_bad_arguments_and_help() -> None:
    ran = run(*COMMAND, "up", "--port", "many")
    assert ran.code == 2
    assert "--port" in ran.err
    ran = run(*COMMAND, "--version")
    assert ran.out.startswith("ferrohub ")
    ran = run(*COMMAND, "up", "--help")
    assert "--standard-ports" in ran.out
    assert "--attached" not in ran.out
