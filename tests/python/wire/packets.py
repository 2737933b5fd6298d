"""MQTT 3.1.1 packets, read: what a client put on the wire, as a dict for each packet.

Written for the recorder, apart from the clients under test, after the OASIS standard
(https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html).
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Optional

Packet = dict[str, Any]


class Reader:
    """The body of a packet, read from its begin."""

    def __init__(self, body: bytes) -> None:
        self._rest = body

    def number(self) -> int:
        """Two bytes, big-endian."""
        number: int = struct.unpack(">H", self.take(2))[0]
        return number

    def byte(self) -> int:
        return self.take(1)[0]

    def text(self) -> str:
        return self.take(self.number()).decode()

    def take(self, length: int) -> bytes:
        if length > len(self._rest):
            raise ValueError("the packet ends too early")
        taken, self._rest = self._rest[:length], self._rest[length:]
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._rest))

    def __bool__(self) -> bool:
        return bool(self._rest)


def split(stream: bytes) -> Optional[tuple[int, bytes, bytes]]:
    """The first packet of a stream: its first byte and its body; and the rest. None if it is not all there."""
    length = 0
    for index, byte in enumerate(stream[1:5]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            start = 2 + index
            end = start + length
            return (stream[0], stream[start:end], stream[end:]) if len(stream) >= end else None
    if len(stream) >= 5:
        raise ValueError("the length of the packet has more than four bytes")
    return None


def decode(first: int, body: bytes) -> Packet:
    """A packet of a client. Raises ValueError for what is none, or has the wrong flags."""
    reader = Reader(body)
    kind, flags = first >> 4, first & 0x0F
    if kind == 3:
        return _publish(flags, reader)
    if kind not in _READERS:
        raise ValueError(f"no packet of a client: {first:#04x}")
    name, expected_flags, read = _READERS[kind]
    if flags != expected_flags:
        raise ValueError(f"{name} with the flags {flags:#x}")
    packet = {"packet": name, **read(reader)}
    if reader:
        raise ValueError(f"{name} is too long: {reader.rest()!r}")
    return packet


def _connect(reader: Reader) -> Packet:
    protocol, level, flags = reader.text(), reader.byte(), reader.byte()
    packet: Packet = {
        "protocol": f"{protocol} {level}",
        "flags": f"{flags:#04x}",
        "keep_alive": reader.number(),
        "client_id": reader.text(),
    }
    if flags & 0x04:
        packet["will"] = [reader.text(), reader.text()]
    packet["user_name"] = reader.text() if flags & 0x80 else None
    packet["password"] = reader.text() if flags & 0x40 else None
    return packet


def _publish(flags: int, reader: Reader) -> Packet:
    qos = flags >> 1 & 0x03
    return {
        "packet": "PUBLISH",
        "topic": reader.text(),
        "qos": qos,
        "retain": bool(flags & 0x01),
        "dup": bool(flags & 0x08),
        "id": reader.number() if qos else None,
        "payload": reader.rest().decode(errors="backslashreplace"),
    }


def _id(reader: Reader) -> Packet:
    return {"id": reader.number()}


def _subscribe(reader: Reader) -> Packet:
    packet: Packet = {"id": reader.number(), "filters": []}
    while reader:
        packet["filters"].append([reader.text(), reader.byte()])
    return packet


def _unsubscribe(reader: Reader) -> Packet:
    packet: Packet = {"id": reader.number(), "filters": []}
    while reader:
        packet["filters"].append(reader.text())
    return packet


def _nothing(_reader: Reader) -> Packet:
    return {}


_READERS: dict[int, tuple[str, int, Callable[[Reader], Packet]]] = {
    1: ("CONNECT", 0, _connect),
    4: ("PUBACK", 0, _id),
    8: ("SUBSCRIBE", 2, _subscribe),
    10: ("UNSUBSCRIBE", 2, _unsubscribe),
    12: ("PINGREQ", 0, _nothing),
    14: ("DISCONNECT", 0, _nothing),
}
"""Type → name, the flags it must have, what reads its body."""
