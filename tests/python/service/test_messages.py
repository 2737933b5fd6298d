"""Messages to devices over AMQP, sent by Microsoft's package and by ours: what the sender hears, what devices get."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from c2d_program import SPECIAL
from support import official_python, own_network, run

PROGRAM = Path(__file__).parent.parent / "c2d_run.py"
REFUSED = ["too large", "far too large", "no such device", "expired"]
EVERYTHING = {
    "text": "v=1&é",
    "empty": "",
    "int": "5",
    "negative": "-3",
    "long": "1099511627776",
    "float": "1.5",
    "yes": "true",
    "bytes": "raw",
    "nothing": "",
}


WAYS = [[package, way] for package in ("official", "ours") for way in ("Amqp", "AmqpOverWebsocket")]


@pytest.fixture(scope="module", params=WAYS, ids=" ".join)
def told(request: pytest.FixtureRequest) -> Any:
    """What sender and devices tell, by each package over each transport, on the ports that Azure's hubs have."""
    package, way = request.param
    sender = official_python() if package == "official" else sys.executable
    ran = run(*own_network([sys.executable, PROGRAM, sender, way]), timeout=100)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_the_device_gets_everything(told: Any) -> None:
    # Up to four messages are handled at once, in any order.
    [(system, expires, custom, body)] = (message for message in told["got"]["d"] if message[0]["message_id"] == "m-1")
    names = ["message_id", "correlation_id", "content_type", "content_encoding", "ack"]
    assert system == dict(zip(names, ["m-1", "c-1", "application/json", "utf-8", "full"]))
    assert (expires, custom, body) == (True, EVERYTHING, "hello")


def test_bodies_are_bytes_whatever_they_were_made_of(told: Any) -> None:
    bodies = sorted([system["message_id"], body] for system, _, _, body in told["got"]["d"])
    assert bodies[1:] == [["m-2", ""], ["m-3", "\0\1"], ["m-4", "ab"], ["m-5", ""], ["m-6", 65_000], ["m-8", "last"]]


def test_a_device_may_have_a_percent_sign_in_its_name(told: Any) -> None:
    assert told["sent"]["special"] == "sent"
    assert [system["message_id"] for system, *_ in told["got"][SPECIAL]] == ["m-7"]


def test_a_number_for_an_id_is_one_of_amqp_or_refused(request: pytest.FixtureRequest, told: Any) -> None:
    """Microsoft's package sends an `int`, which is no id of AMQP 1.0."""
    ours = request.node.callspec.params["told"][0] == "ours"
    assert told["sent"]["number for an id"] == ("sent" if ours else "Exception: C2D message send failure")


def test_what_the_hub_refuses_was_not_sent_and_what_comes_afterwards_is(told: Any) -> None:
    told = {**told, "sent": {name: outcome for name, outcome in told["sent"].items() if name != "number for an id"}}
    failed = [name for name, outcome in told["sent"].items() if "C2D message send failure" in str(outcome)]
    assert failed == [*REFUSED, "queue"]
    assert told["sent"]["after refusals"] == "sent"
    assert told["left"] == 0


def test_fifty_messages_wait_and_no_more(told: Any) -> None:
    sent, last = told["sent"]["queue"]
    assert sent == 50
    assert "C2D message send failure" in last
