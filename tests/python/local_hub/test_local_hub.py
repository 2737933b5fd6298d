"""`LocalHub`, in this process and in one of its own: started, asked, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from azure.iot.device import IoTHubModuleClient, Message
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from ferrohub.service import HttpOperationError
from support import DEVICE, MODULE, PATCH_TOPIC, key_of, run

HERE_AND_ELSEWHERE = pytest.mark.parametrize("process", [False, True], ids=["threads", "process"])


def create(hub: LocalHub) -> None:
    registry = IoTHubRegistryManager(hub.connection_string)
    registry.create_device_with_sas(DEVICE, "", "", "enabled")
    registry.create_module_with_sas(DEVICE, MODULE, "", "", "")


@HERE_AND_ELSEWHERE
def test_it_is_ready_when_entered_and_gone_when_left(process: bool) -> None:
    with LocalHub(process=process) as hub:
        assert (hub.pid == os.getpid()) is not process
        for address in ("127.0.0.1", "::1"):
            context = ssl.create_default_context(cafile=hub.ca_file)
            with (
                socket.create_connection((address, hub.port), 10) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                pass
        assert hub.connection_string.startswith(f"HostName={hub.host_name}:{hub.port};SharedAccessKeyName=iothubowner;")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", hub.port), 10)
    with pytest.raises(RuntimeError, match="not running"):
        hub.statistics()


@HERE_AND_ELSEWHERE
def test_its_limits_are_those_that_it_is_given(process: bool) -> None:
    with LocalHub(process=process, limits={"modules": 1, "identities": 3}) as hub:
        create(hub)
        registry = IoTHubRegistryManager(hub.connection_string)
        with pytest.raises(HttpOperationError) as one_module_more:
            registry.create_module_with_sas(DEVICE, "another", "", "", "")
        registry.create_device_with_sas("another", "", "", "enabled")
        with pytest.raises(HttpOperationError) as one_device_more:
            registry.create_device_with_sas("a-third", "", "", "enabled")
    assert (one_module_more.value.code, one_device_more.value.code) == ("TooManyModulesOnDevice", "TooManyDevices")
    with pytest.raises(ValueError, match="'devices=1' is no limit: identities, modules, active_jobs"):
        LocalHub(process=process, limits={"devices": 1}).start()


@HERE_AND_ELSEWHERE
def test_the_event_loop_goes_on_while_it_starts_and_stops(process: bool) -> None:
    async def main() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        async with LocalHub(process=process) as hub:
            assert hub.port
        counting.cancel()
        return turns

    assert asyncio.run(main()) > 1


@HERE_AND_ELSEWHERE
def test_it_tells_what_devices_sent(process: bool) -> None:
    with LocalHub(process=process) as hub:
        create(hub)
        client = IoTHubModuleClient.create_from_connection_string(hub.module_connection_string(DEVICE, MODULE))
        message = Message(b"\x00hello")
        message.message_id = "m 1"
        message.custom_properties["k=é"] = "a&b"
        client.send_message(message)
        client.shutdown()
        (received,) = hub.telemetry()
        assert (received.device_id, received.module_id, received.body) == (DEVICE, MODULE, b"\x00hello")
        assert received.properties == {"$.mid": "m 1", "k=é": "a&b"}
        assert received.enqueued_time.utcoffset() is not None
        statistics = hub.statistics()
        assert (statistics["connects"], statistics["telemetry_messages"]) == (1, 1)
        assert statistics["rest_requests"] >= 2


@HERE_AND_ELSEWHERE
def test_what_is_wrong_with_a_request_is_the_right_exception(process: bool) -> None:
    with LocalHub(process=process) as hub:
        with pytest.raises(LookupError, match="no identity nobody: create it first"):
            hub.device_connection_string("nobody")
        with pytest.raises(ValueError, match="valid identifier"):
            hub.module_connection_string(DEVICE, "no name")
        with pytest.raises(TimeoutError, match="did not subscribe to"):
            hub.wait_subscribed(DEVICE, None, PATCH_TOPIC, timeout=0.01)
        with pytest.raises(RuntimeError, match="is running"):
            hub.start()


def test_a_wait_ends_with_its_hub() -> None:
    with LocalHub(process=True) as hub:
        failures: list[BaseException] = []

        def wait() -> None:
            try:
                hub.wait_subscribed(DEVICE, MODULE, PATCH_TOPIC, timeout=float("inf"))
            except OSError as error:
                failures.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        hub.statistics()
        hub.kill()
        waiting.join(10)
        assert not waiting.is_alive()


def test_killed_and_restarted_it_is_found_where_it_was(tmp_path: Path) -> None:
    with LocalHub(process=True, data=tmp_path / "data", key="random") as hub:
        create(hub)
        before = (hub.port, hub.connection_string, hub.module_connection_string(DEVICE, MODULE))
        first = hub.pid
        hub.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", hub.port), 10)
        hub.restart()
        assert hub.pid != first
        assert before == (hub.port, hub.connection_string, hub.module_connection_string(DEVICE, MODULE))
    with pytest.raises(RuntimeError, match="process"), LocalHub() as hub:
        hub.kill()


def test_a_random_key_is_kept_over_a_restart_without_data() -> None:
    with LocalHub(key="random") as hub, LocalHub() as other:
        assert key_of(hub.connection_string) != key_of(other.connection_string)
        before = hub.connection_string
        hub.restart()
        assert hub.connection_string == before


def test_a_given_key_is_used_and_in_no_argument() -> None:
    key = "Z2l2ZW4ga2V5LCBnaXZlbiBrZXksIGdpdmVuIGtleSE="
    with LocalHub(key=key, process=True) as hub:
        assert key_of(hub.connection_string) == key
        if sys.platform == "linux":
            assert key.encode() not in Path(f"/proc/{hub.pid}/cmdline").read_bytes()


def test_its_process_ends_with_the_program_that_started_it() -> None:
    program = """
import os, signal
from ferrohub import LocalHub
hub = LocalHub(process=True)
hub.start()
print(hub.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = run(sys.executable, "-c", program)
    assert ran.code == -signal.SIGKILL
    # Its pipes were closed by the system; until it has seen that, its port is taken.
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", int(ran.out)), 10).close()
        except ConnectionRefusedError:
            return
        threading.Event().wait(0.01)
    pytest.fail("the hub outlived its program by 10 s")


def test_a_program_that_forgets_to_stop_it_ends() -> None:
    for process in (False, True):
        ran = run(sys.executable, "-c", f"from ferrohub import LocalHub; LocalHub(process={process}).start()")
        assert (ran.code, ran.out) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_neither_stops_nor_hangs_on_its_parents_hub() -> None:
    program = """
import os, warnings
from ferrohub import LocalHub
warnings.simplefilter("ignore")  # Newer Pythons warn of forks beside threads: that is the point.
with LocalHub() as hub:
    child = os.fork()
    if child == 0:
        del hub
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    print(hub.statistics()["connects"])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_leaves_the_hub_to_its_parent() -> None:
    with LocalHub() as hub:
        child = os.fork()
        if not child:
            try:
                hub.statistics()
            except RuntimeError as error:
                hub.stop()
                os._exit(0 if "belongs to the process that started it" in str(error) else 1)
            os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert hub.statistics()


def test_each_policy_has_a_connection_string_with_its_rights(hub: LocalHub) -> None:
    owner = IoTHubRegistryManager.from_connection_string(hub.connection_string)
    owner.create_device_with_sas("d", "", "", "enabled")
    reading = IoTHubRegistryManager.from_connection_string(hub.policy_connection_string("registryRead"))
    assert reading.get_device("d").device_id == "d"
    with pytest.raises(HttpOperationError, match="Unauthorized"):
        reading.delete_device("d")
    writing = IoTHubRegistryManager.from_connection_string(hub.policy_connection_string("registryReadWrite"))
    writing.delete_device("d")
    with pytest.raises(ValueError, match="no policy 'owner': service, device, registryRead, registryReadWrite"):
        hub.policy_connection_string("owner")
