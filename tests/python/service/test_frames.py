"""What `send_c2d_message` puts on the wire, beside what was recorded from azure-iot-hub 2.7 (uamqp): field by field.

Random parts are names of containers and links, and a token's signature and time.
"""

from __future__ import annotations

import re
from typing import Any, Callable

import pytest
from amqp_peer import AmqpPeer, Seen
from amqp_types import Typed, performative, read, sections
from ferrohub.service import IoTHubRegistryManager
from recording_hub import Certificates

DEVICE = "myFirstDevice"
EVERYTHING = {
    "messageId": "m-1",
    "correlationId": "c-1",
    "contentType": "application/json",
    "contentEncoding": "utf-8",
    "expiryTimeUtc": 1_893_456_000_000,
    "prop1": "v1",
    "n": 5,
    "f": 1.5,
    "b": True,
    "big": 2**40,
}
SIMPLE = {"messageId": "m-7", "k": "é", "by": b"raw", "nul": None, "neg": -3, "max32": 2**31 - 1, "ov": 2**31}
MESSAGES: list[tuple[Any, dict[str, Any]]] = [
    ("hello", EVERYTHING),
    ("", {"messageId": "m-2"}),
    (b"\x00\x01", {"messageId": "m-3"}),
    ({"a": 1}, {"messageId": "m-4"}),
    (["a", "b"], {"messageId": "m-5"}),
    (5, {"messageId": 7, "correlationId": 9}),
    (None, {"messageId": "m-6"}),
    ("é☃", SIMPLE),
    ("x" * 300, {"messageId": "m-8"}),
]
"""Those of the recording, in its order."""


def recorded(rows: list[dict[str, Any]]) -> Seen:
    """The recording, in the same form as what a peer sees."""
    seen = Seen()
    for row in rows:
        if "protocol_header" in row and row["dir"] == "client->server":
            seen.headers.append(row["protocol_header"])
        elif "message_on" in row:
            seen.payloads.append(bytes.fromhex(row["hex"]))
        elif "hex" in row:
            name, fields = performative(read(bytes.fromhex(row["hex"])[8:])[0])
            if name == "transfer":
                seen.transfers.append(fields)
            else:
                seen.frames.append((name, fields))
    return seen


@pytest.fixture
def theirs(golden: Callable[[str], Any]) -> Seen:
    return recorded(golden("golden_amqp_c2d.json"))


@pytest.fixture
def ours(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What our client sends for the same calls."""
    # Its CA has the name that a local hub's has there, and is trusted for localhost.
    monkeypatch.setenv("FERROHUB_HOME", str(certificates.ca.parent))
    with AmqpPeer(certificates) as peer:
        text = f"HostName=localhost:{peer.port};SharedAccessKeyName=iothubowner;SharedAccessKey=Zm9vYmFy"
        with IoTHubRegistryManager(text, timeout=20) as manager:
            for body, properties in MESSAGES:
                manager.send_c2d_message(DEVICE, body, properties)
    return peer.seen


def normal(value: Any) -> Any:
    """Without what is random."""
    if isinstance(value, dict):
        return {key: normal(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)) and not isinstance(value, Typed):
        return [normal(each) for each in value]
    if isinstance(value, str):
        value = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", value)
        return re.sub(r"sig=[^&]*&se=\d+", "sig=<signature>&se=<time>", value)
    return value


def named(seen: Seen, name: str) -> list[dict[str, Any]]:
    """The performatives of this name."""
    return [normal(fields) for found, fields in seen.frames if found == name]


def test_a_connection_begins_as_recorded(ours: Seen, theirs: Seen) -> None:
    assert ours.headers == theirs.headers == ["414d515003010000", "414d515000010000"]
    for name in ("sasl-init", "open", "begin"):
        assert named(ours, name) == named(theirs, name), name


def test_links_are_attached_as_recorded(ours: Seen, theirs: Seen) -> None:
    """Ours says a delivery count on the link that receives, too: nobody reads it there (AMQP 1.0, 2.7.3)."""
    attached = named(ours, "attach")
    assert attached[1].pop("initial-delivery-count") == Typed("uint", 0)
    assert attached == named(theirs, "attach")


def test_the_hub_may_send_as_many_answers_about_tokens(ours: Seen, theirs: Seen) -> None:
    """uamqp gives credit on the link that it sends on, too: a sender has none to give (AMQP 1.0, 2.6.7)."""
    credit = [[flow["handle"], flow["link-credit"]] for flow in named(theirs, "flow")]
    assert credit == [[Typed("uint", 1), Typed("uint", 10_000)], [Typed("uint", 2), Typed("uint", 10_000)]]
    assert [[flow["handle"], flow["link-credit"]] for flow in named(ours, "flow")] == credit[:1]


def test_the_answer_about_the_token_is_accepted(ours: Seen, theirs: Seen) -> None:
    assert named(ours, "disposition") == named(theirs, "disposition")


def test_the_token_is_shown_as_recorded(ours: Seen, theirs: Seen) -> None:
    assert normal(sections(ours.payloads[0])) == normal(sections(theirs.payloads[0]))


def test_messages_are_transferred_as_recorded(ours: Seen, theirs: Seen) -> None:
    """Tags are the sender's to choose. `batchable` tells the hub that others follow at once, as they may."""
    assert len({(transfer["handle"], transfer.pop("delivery-tag")) for transfer in ours.transfers}) == len(MESSAGES) + 1
    sent = [transfer.pop("batchable") for transfer in ours.transfers]
    assert sent == [False] + [True] * len(MESSAGES)
    for transfer in theirs.transfers:
        del transfer["delivery-tag"], transfer["batchable"]
    assert ours.transfers == theirs.transfers


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 6, 8])
def test_a_message_is_byte_by_byte_the_recorded_one(ours: Seen, theirs: Seen, number: int) -> None:
    assert ours.payloads[number + 1].hex() == theirs.payloads[number + 1].hex()


def test_a_number_for_an_id_is_unsigned(ours: Seen, theirs: Seen) -> None:
    """uamqp sends an `int`; AMQP 1.0 (3.2.11) has ids that are ulong, uuid, binary and string only."""
    recorded, *rest = sections(theirs.payloads[6])
    assert (recorded.value[0], recorded.value[5]) == (Typed("int", 7), Typed("int", 9))
    sent, *same = sections(ours.payloads[6])
    assert (sent.value[0], sent.value[5]) == (Typed("ulong", 7), Typed("ulong", 9))
    assert same == rest


def test_a_list_is_no_property(ours: Seen, theirs: Seen) -> None:
    """uamqp sends it; AMQP 1.0 (3.2.5) allows simple values only, and ours says so in a TypeError (test_sending.py)."""
    properties, application, body = sections(theirs.payloads[8])
    assert application.value.pop("list") == [Typed("int", 1), "x"]
    assert sections(ours.payloads[8]) == [properties, application, body]
