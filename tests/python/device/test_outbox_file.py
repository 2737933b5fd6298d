"""What happens to an outbox whose file is in use, full, read-only, damaged or gone: a clear error, and no loss."""

from __future__ import annotations

import queue
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient
from ferrohub import Outbox, OutboxError
from support import Program, own_network

if TYPE_CHECKING:
    from azure.iot.hub import IoTHubRegistryManager
    from ferrohub import LocalHub

SECONDS = 20.0
PROGRAM = Path(__file__).parent.parent / "outbox_sender.py"

Make = Callable[..., IoTHubDeviceClient]


@pytest.fixture
def connection_string(hub: LocalHub, registry: IoTHubRegistryManager) -> str:
    registry.create_device_with_sas("d", "", "", "enabled")
    return hub.device_connection_string("d")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def make(connection_string: str, path: Path) -> Make:
    def make(at: Path = path) -> IoTHubDeviceClient:
        return IoTHubDeviceClient.create_from_connection_string(
            connection_string, outbox=Outbox(at), connection_retry_interval=1
        )

    return make


@pytest.fixture
def filled(hub: LocalHub, make: Make, path: Path) -> Path:
    """An outbox with the messages 0 to 299, of 4 KB each."""
    with hub.faults.refuse_connects("d"), make() as client:
        for first in range(0, 300, 30):
            assert client.send_messages([f"{first + number:04096}" for number in range(30)]) == [None] * 30
    return path


def bodies(hub: LocalHub) -> list[int]:
    return [int(message.body) for message in hub.telemetry()]


def test_only_its_owner_may_read_it(make: Make, path: Path) -> None:
    with make():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with make():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_client_at_a_time_has_it(make: Make) -> None:
    with make(), pytest.raises(OutboxError, match="is in use by another client in this process: one client at a time"):
        make()
    with make():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has locked a file")
def test_the_process_that_has_it_is_named(make: Make, path: Path, connection_string: str) -> None:
    with Program(sys.executable, PROGRAM, connection_string, path, "0", "1", "wait") as program:
        program.wait_for("^accepted 1$")
        with pytest.raises(OutboxError, match=rf"in use by another client, in process {program.process.pid}: "):
            make()


def test_it_belongs_to_one_identity(
    hub: LocalHub, registry: IoTHubRegistryManager, filled: Path, connection_string: str
) -> None:
    registry.create_module_with_sas("d", "m", "", "", "")
    before = filled.read_bytes()
    for cls, text in (
        (IoTHubModuleClient, hub.module_connection_string("d", "m")),
        (IoTHubDeviceClient, connection_string.replace("DeviceId=d", "DeviceId=e")),
        (IoTHubDeviceClient, connection_string.replace("HostName=localhost", "HostName=other")),
    ):
        with pytest.raises(OutboxError, match="holds messages of 'd' at 'localhost', and this client is '"):
            cls.create_from_connection_string(text, outbox=Outbox(filled))
    assert filled.read_bytes() == before


def test_a_missing_folder_is_an_error_that_says_so(make: Make, tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="can't be opened: check that its folder exists"):
        make(tmp_path / "missing" / "outbox")
    assert not (tmp_path / "missing").exists()


def test_a_file_of_something_else_is_left_as_it_is(make: Make, path: Path) -> None:
    path.write_text("notes")
    with pytest.raises(OutboxError, match="is not an outbox of a client, and was left as it is"):
        make()
    assert path.read_text() == "notes"
    with pytest.raises(OutboxError, match="holds nothing that can be recovered"):
        Outbox(path).recover()
    assert path.read_text() == "notes"


def cut(content: bytes) -> bytes:
    return content[: len(content) * 3 // 4]


def torn(content: bytes) -> bytes:
    """A page of another file in the middle."""
    middle = len(content) // 2
    return content[:middle] + b"?" * 4096 + content[middle + 4096 :]


def headless(content: bytes) -> bytes:
    return b"?" * 4096 + content[4096:]


@pytest.mark.parametrize("damage", [cut, torn, headless])
def test_a_damaged_file_is_left_as_it_is_and_can_be_recovered(
    hub: LocalHub, make: Make, filled: Path, damage: Callable[[bytes], bytes]
) -> None:
    damaged = damage(filled.read_bytes())
    filled.write_bytes(damaged)
    with pytest.raises(OutboxError, match=r"is damaged: .*Outbox\.recover\(\)|is not an outbox"):
        make()
    assert filled.read_bytes() == damaged
    recovered = Outbox(filled).recover()
    assert recovered is not None
    assert Path(f"{filled}.damaged").read_bytes() == damaged
    with make() as client:
        client.flush(timeout=SECONDS)
    assert len(bodies(hub)) == recovered
    assert bodies(hub) == sorted(bodies(hub))
    assert recovered > 30, "what is whole in the file is found"


def test_recovery_leaves_a_whole_file_and_one_in_use_as_they_are(hub: LocalHub, make: Make, filled: Path) -> None:
    assert Outbox(filled).recover() is None
    with hub.faults.refuse_connects("d"), make(), pytest.raises(OutboxError, match="is in use by another client"):
        Outbox(filled).recover()
    assert not Path(f"{filled}.damaged").exists()
    with make() as client:
        client.flush(timeout=SECONDS)
    assert bodies(hub) == list(range(300))


def test_recovery_brings_nothing_back_that_was_delivered_long_before(hub: LocalHub, make: Make, path: Path) -> None:
    with make() as client:
        client.send_messages([str(number) for number in range(1000)])
        client.flush(timeout=SECONDS)
    with hub.faults.refuse_connects("d"), make() as client:
        client.send_messages([str(number) for number in range(1000, 1010)])
    path.write_bytes(headless(path.read_bytes()))
    assert Outbox(path).recover() == 10
    with make() as client:
        client.flush(timeout=SECONDS)
    assert bodies(hub) == list(range(1010))


def test_a_deleted_file_is_written_again_with_what_it_held(hub: LocalHub, make: Make, path: Path) -> None:
    errors: queue.Queue[Any] = queue.Queue()
    with hub.faults.refuse_connects("d"), make() as client:
        client.on_background_exception = errors.put
        client.send_messages([str(number) for number in range(300)])
        path.unlink()
        client.send_message("300")
        assert path.exists()
    with make() as client:
        client.flush(timeout=SECONDS)
    assert bodies(hub) == list(range(301))
    assert any("was deleted while it was in use, and has been written again" in str(error) for error in errors.queue)


def test_a_file_that_is_deleted_while_nothing_happens_is_written_again_at_the_end(
    hub: LocalHub, make: Make, filled: Path
) -> None:
    with hub.faults.refuse_connects("d"), make():
        filled.unlink()
    with make() as client:
        client.flush(timeout=SECONDS)
    assert bodies(hub) == list(range(300))


def test_a_program_may_change_its_folder(
    hub: LocalHub, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.chdir(first)
    with make(Path("outbox")) as client:
        monkeypatch.chdir(second)
        client.send_message("0")
        client.flush(timeout=SECONDS)
    assert bodies(hub) == [0]
    assert list(second.iterdir()) == []


def test_a_file_that_has_grown_is_small_again_when_it_is_opened_empty(make: Make, filled: Path) -> None:
    with make() as client:
        client.flush(timeout=SECONDS)
    assert filled.stat().st_size > 1 << 20
    with make() as client:
        assert filled.stat().st_size < 1 << 20
        client.send_message("300")
        client.flush(timeout=SECONDS)


def test_another_file_in_its_place_is_not_touched(hub: LocalHub, make: Make, path: Path) -> None:
    with hub.faults.refuse_connects("d") as refused, make() as client:
        client.send_message("0")
        path.unlink()
        path.write_text("notes")
        with pytest.raises(OutboxError, match="was replaced by another file while it was in use"):
            client.send_message("1")
        refused.clear()
        client.flush(timeout=SECONDS)
    assert path.read_text() == "notes"
    assert bodies(hub) == [0]


def test_a_folder_that_vanishes_is_an_error_and_what_was_accepted_is_sent(
    hub: LocalHub, make: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with hub.faults.refuse_connects("d") as refused, make(folder / "outbox") as client:
        client.send_message("0")
        shutil.rmtree(folder)
        with pytest.raises(OutboxError, match="check that its folder exists"):
            client.send_message("1")
        refused.clear()
        client.flush(timeout=SECONDS)
    assert bodies(hub) == [0]


def on_a_disk_of_its_own(what: str, folder: Path) -> None:
    """Run a scene of `outbox_disks.py`, where a file system may be mounted."""
    program = Path(__file__).parent.parent / "outbox_disks.py"
    with Program(*own_network([sys.executable, program, what, folder])) as running:
        ended = running.finish(60)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == "held"


def test_a_full_disk_is_an_error_and_nothing_that_was_accepted_is_lost(tmp_path: Path) -> None:
    on_a_disk_of_its_own("full", tmp_path)


def test_a_disk_that_becomes_read_only_is_an_error_and_nothing_that_was_accepted_is_lost(tmp_path: Path) -> None:
    on_a_disk_of_its_own("read-only", tmp_path)
