"""Microsoft's device client with the hub: direct methods and cloud-to-device messages, as Azure's hubs do them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support import official_python, own_network, run


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the program tells that runs hub, back end and device: their ports have to be the standard ones."""
    program = Path(__file__).parent.parent / "official_peer.py"
    ran = run(*own_network([sys.executable, program, official_python()]), timeout=60)
    assert ran.code == 0, ran.err
    result: dict[str, Any] = json.loads(ran.out.splitlines()[-1])
    return result


def test_its_methods_are_called_and_their_responses_come_back(told: dict[str, Any]) -> None:
    assert told["method"] == [200, {"name": "part*get_max", "payload": {"a": [1, None]}}]


def test_a_method_without_payload_and_response(told: dict[str, Any]) -> None:
    assert told["empty"] == [-3, None]


def test_messages_reach_it_with_their_properties(told: dict[str, Any]) -> None:
    assert [message["data"] for message in told["messages"]] == ["before", "text", "\u00e9"]
    last = told["messages"][-1]
    assert last["custom_properties"] == {"k y": "v=1&2"}
    assert (last["message_id"], last["content_type"], last["ack"]) == ("m 1", "text/plain", "none")


def test_what_it_received_is_acknowledged(told: dict[str, Any]) -> None:
    assert told["waiting"] == 0


def test_inputs_reach_its_modules(told: dict[str, Any]) -> None:
    assert told["inputs"] == [{"input_name": "in 1", "data": "to the input", "custom_properties": {"a": "b"}}]
