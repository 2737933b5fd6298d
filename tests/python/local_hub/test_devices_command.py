"""`ferrohub devices`: many identities at once, from a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub
from support import PATIENCE, Outcome, run

COMMAND = (sys.executable, "-m", "ferrohub", "devices", "import")


@pytest.fixture
def asked(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    """The hub that the command asks."""
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", hub.connection_string)
    return hub


def written(path: Path, *identities: dict[str, Any] | str) -> Path:
    lines = [identity if isinstance(identity, str) else json.dumps(identity) for identity in identities]
    path.write_text("\n".join(lines))
    return path


def load(*arguments: str | Path) -> Outcome:
    return run(*COMMAND, *arguments)


def count(hub: LocalHub) -> int:
    manager = IoTHubRegistryManager.from_connection_string(hub.connection_string)
    total = manager.get_device_registry_statistics().total_device_count
    assert total is not None
    return total


def test_a_file_of_devices_is_created_changed_and_deleted(asked: LocalHub, tmp_path: Path) -> None:
    devices = [{"id": f"d{number}", "tags": {"floor": number % 3}} for number in range(1050)]
    file = written(tmp_path / "devices.txt", *devices, "", {"id": "d7", "moduleId": "camera"})
    assert load(file, "--at-once", "3") == Outcome(0, "1051 done, 0 failed\n", "")
    manager = IoTHubRegistryManager.from_connection_string(asked.connection_string)
    twin: Any = manager.get_twin("d8")
    assert (count(asked), twin.tags) == (1050, {"floor": 2})
    assert manager.get_module("d7", "camera").module_id == "camera"
    changes = written(tmp_path / "changes", {"id": "d8", "tags": {"floor": 9}}, {"id": "d9", "importMode": "delete"})
    assert load(changes, "--mode", "updateTwin") == Outcome(0, "2 done, 0 failed\n", "")
    changed: Any = manager.get_twin("d8")
    assert (count(asked), changed.tags) == (1049, {"floor": 9})
    assert load(written(file, *devices[10:]), "--mode", "delete") == Outcome(0, "1040 done, 0 failed\n", "")
    assert count(asked) == 9


def test_what_could_not_be_done_is_told_line_by_line(asked: LocalHub, tmp_path: Path) -> None:
    file = written(tmp_path / "devices.txt", {"id": "one"}, "no JSON", {"id": "one"}, {"id": "two"})
    loaded = load(file)
    # A device that is there twice in one request is changed neither time, as on Azure.
    assert (loaded.code, loaded.out) == (1, "1 done, 3 failed\n")
    assert "ferrohub: line 2: no JSON object: " in loaded.err
    assert "ferrohub: one: DeviceDefinedMultipleTimes" in loaded.err
    again = load(written(file, {"id": "two"}, {"id": "three"}))
    assert (again.code, again.out) == (1, "1 done, 1 failed\n")
    assert again.err.startswith("ferrohub: two: DeviceAlreadyExists: ")


def test_a_request_that_the_hub_can_not_read_fails_and_the_others_go_on(asked: LocalHub, tmp_path: Path) -> None:
    bad = [{"id": f"b {number}"} for number in range(100)]
    loaded = load(written(tmp_path / "devices.txt", *bad, {"id": "good"}))
    assert (loaded.code, loaded.out) == (1, "1 done, 100 failed\n")
    assert count(asked) == 1


def test_a_byte_order_mark_is_no_part_of_the_first_line(asked: LocalHub, tmp_path: Path) -> None:
    file = tmp_path / "devices.txt"
    file.write_text('{"id":"first"}\n{"id":"second"}\n', encoding="utf-8-sig")
    assert load(file) == Outcome(0, "2 done, 0 failed\n", "")


def test_standard_input_is_read_for_a_dash(asked: LocalHub) -> None:
    lines = "".join(json.dumps({"id": f"d{number}"}) + "\n" for number in range(5))
    done = subprocess.run([*COMMAND, "-"], input=lines, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5 done, 0 failed\n", "")
    assert count(asked) == 5


@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals")
def test_a_terminal_is_shown_how_far_it_is(asked: LocalHub, tmp_path: Path) -> None:
    import pty

    file = written(tmp_path / "devices.txt", *({"id": f"d{number}"} for number in range(3000)))
    terminal, other = pty.openpty()
    with subprocess.Popen([*COMMAND, str(file)], stdout=subprocess.PIPE, stderr=other, text=True) as process:
        os.close(other)
        shown = b""
        try:
            while piece := os.read(terminal, 4096):
                shown += piece
        except OSError:  # how Linux says that the other side is closed
            pass
        os.close(terminal)
        assert process.stdout is not None
        assert process.stdout.read() == "3000 done, 0 failed\n"
    assert b"of 3,000 (" in shown


@pytest.mark.parametrize(
    ("change", "said", "failed"),
    [
        # The first refusal is enough; of connections that fail two in a row are.
        (lambda text: text.replace("SharedAccessKey=", "SharedAccessKey=AAAA"), "its key or policy is not right", 100),
        (
            lambda text: (
                text.replace("localhost", "127.0.0.1:1;X=").split(";X=")[0]
                + ";SharedAccessKeyName=a;SharedAccessKey=AAAA"
            ),
            "could not connect",
            150,
        ),
    ],
)
def test_a_hub_that_refuses_or_is_not_there_ends_it(
    hub: LocalHub, tmp_path: Path, change: Any, said: str, failed: int
) -> None:
    file = written(tmp_path / "devices.txt", *({"id": f"d{number}"} for number in range(150)))
    loaded = load(file, "--hub", change(hub.connection_string), "--at-once", "1")
    assert (loaded.code, loaded.out) == (1, f"0 done, {failed} failed, and stopped\n")
    assert said in loaded.err
    assert count(hub) == 0


def test_a_file_that_can_not_be_read_is_named(asked: LocalHub, tmp_path: Path) -> None:
    loaded = load(tmp_path / "none")
    assert (loaded.code, loaded.out) == (1, "")
    assert f"{tmp_path / 'none'} can't be read: " in loaded.err
