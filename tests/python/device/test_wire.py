"""What the clients put on the wire, packet by packet, beside what the official package does (tests/golden/wire).

Every difference is meant, and stands in `differences` with its reason. Apart from them, and from the user agent, for
which the recordings have a word, all is the same: devices, modules and their provisioning, synchronous and asyncio, TCP
and WebSockets.
"""

from __future__ import annotations

import difflib
import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import official_python
from wire.broker import MOSQUITTO
from wire.packets import Packet
from wire.record import Recording, Scenarios, golden, golden_upgrade, record

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not MOSQUITTO, reason="no mosquitto"),
    pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl"),
]

SORTS = [
    f"{of} {way} {transport}"
    for of in ("device", "module", "provisioning")
    for way in ("sync", "asyncio")
    for transport in ("tcp", "websockets")
]


@dataclass
class Difference:
    """Lines of a diff from the official recording to ours, and why they are meant."""

    reason: str
    lines: list[str]


NEVER_SENT = "a message whose call has failed is not sent behind the program's back"


def differences(of: str) -> dict[str, Difference]:
    """By scenario, for a client of a device or a module, or a provisioning client."""
    if of == "provisioning":
        return {}

    def path(scenario: str) -> str:
        return f"devices/{scenario}" + ("/modules/mod1" if of == "module" else "")

    def telemetry(scenario: str, text: str) -> str:
        return f"PUBLISH {path(scenario)}/messages/events/ '{text}'"

    messages = f"{path('lost_session')}/{'inputs' if of == 'module' else 'messages/devicebound'}/#"
    received = {"data": "\u00e9", "custom_properties": {"no value": None, "empty": "", "a": "b=c", "\u00e9": "\u00fc"}}
    cut = {**received, "custom_properties": {**received["custom_properties"], "a": "b"}}  # type: ignore[dict-item]
    if of == "module":
        received["input_name"] = cut["input_name"] = "in 1"
    return {
        "first_contact_by_patch_handler": Difference(
            "without its subscription the answer to the first look at the twin would not come",
            [
                "+ SUBSCRIBE $iothub/twin/res/#",
                "+ SUBSCRIBE $iothub/twin/PATCH/properties/desired/#",
                "- SUBSCRIBE $iothub/twin/PATCH/properties/desired/#",
            ],
        ),
        "lost_session": Difference(
            "a hub that has lost the session has lost the subscriptions",
            [
                "+ SUBSCRIBE $iothub/methods/POST/#",
                "+ SUBSCRIBE $iothub/twin/PATCH/properties/desired/#",
                "+ SUBSCRIBE $iothub/twin/res/#",
                f"+ SUBSCRIBE {messages}",
            ],
        ),
        "disconnected_with_a_message_in_flight": Difference(
            NEVER_SENT, ["- DUP " + telemetry("disconnected_with_a_message_in_flight", "cancelled")]
        ),
        "dropped_without_retry": Difference(NEVER_SENT, ["- DUP " + telemetry("dropped_without_retry", "dropped")]),
        "sent_without_a_connection": Difference(NEVER_SENT, ["- " + telemetry("sent_without_a_connection", "refused")]),
        "messages_received": Difference(
            "the value of a property may hold an equals sign",
            [f"- to the program {json.dumps(cut)}", f"+ to the program {json.dumps(received)}"],
        ),
    }


@pytest.fixture(scope="module")
def recordings() -> Iterator[dict[str, Future[Recording]]]:
    """Of both packages at the same time: most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        yield {
            "ours": pool.submit(lambda: record(Path(sys.executable))),
            "official": pool.submit(lambda: record(official_python())),
        }


@pytest.fixture(scope="module")
def ours(recordings: dict[str, Future[Recording]]) -> Recording:
    return recordings["ours"].result()


@pytest.fixture(scope="module")
def official(recordings: dict[str, Future[Recording]]) -> Recording:
    return recordings["official"].result()


@pytest.mark.parametrize("sort", SORTS)
def test_it_is_what_the_official_package_sends_but_for_what_is_meant(ours: Recording, sort: str) -> None:
    of = sort.partition(" ")[0]
    recorded = golden(of)
    assert list(ours.packets[sort]) == list(recorded), "`make record-wire` records what is new"
    found = {name: diff(packets, ours.packets[sort][name]) for name, packets in recorded.items()}
    declared = {name: difference.lines for name, difference in differences(of).items()}
    assert {name: lines for name, lines in found.items() if lines} == declared


@pytest.mark.parametrize("sort", SORTS)
def test_packet_ids_count_up_and_only_a_duplicate_has_its_own_again(ours: Recording, sort: str) -> None:
    assert_ids_count_up(ours.packets[sort])


@pytest.mark.parametrize("of", ["device", "module", "provisioning"])
def test_so_they_do_in_the_official_package(of: str) -> None:
    assert_ids_count_up(golden(of))


def test_the_request_for_a_websocket_is_the_official_one(ours: Recording) -> None:
    assert ours.upgrade == golden_upgrade()


@pytest.mark.parametrize("sort", SORTS)
def test_the_official_package_still_sends_what_was_recorded(official: Recording, sort: str) -> None:
    assert official.packets[sort] == golden(sort.partition(" ")[0])


def test_the_official_package_still_asks_for_a_websocket_as_was_recorded(official: Recording) -> None:
    assert official.upgrade == golden_upgrade()


def diff(before: list[Packet], after: list[Packet]) -> list[str]:
    """What is missing and what is new, in brief. Packet ids are left out: one packet more shifts all that follow."""
    one, other = ([json.dumps(without_id(packet)) for packet in packets] for packets in (before, after))
    lines = []
    for kind, start, end, other_start, other_end in difflib.SequenceMatcher(None, one, other, False).get_opcodes():
        if kind != "equal":
            lines += [f"- {brief(packet)}" for packet in before[start:end]]
            lines += [f"+ {brief(packet)}" for packet in after[other_start:other_end]]
    return lines


def without_id(packet: Packet) -> Packet:
    """The id of a PUBACK is the hub's."""
    return packet if packet["packet"] == "PUBACK" else {**packet, "id": None}


def brief(packet: Packet) -> str:
    """A packet in a line, with what tells it from others of its kind."""
    kind = packet["packet"]
    if kind == "PUBLISH":
        return f"{'DUP ' if packet['dup'] else ''}{kind} {packet['topic']} {packet['payload']!r}"
    if kind == "SUBSCRIBE":
        return f"{kind} {' '.join(topic for topic, _qos in packet['filters'])}"
    return f"{kind} {json.dumps({name: value for name, value in packet.items() if name != 'packet'})}"


def assert_ids_count_up(scenarios: Scenarios) -> None:
    for name, packets in scenarios.items():
        ids: list[int] = []
        for packet in packets:
            if packet["packet"] in {"SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH"}:
                if packet.get("dup"):
                    assert packet["id"] in ids, name
                else:
                    ids.append(packet["id"])
        assert ids == list(range(1, len(ids) + 1)), name
