"""A hub that takes one connection of a sender, answers as in the recording, and writes down what comes."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

from amqp_types import Described, Typed, performative, read, sections, write
from recording_hub import Certificates
from typing_extensions import Self

HEADERS = {b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00"}
PATIENCE = 20
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, CLOSE, ACCEPTED = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x18, 0x24


def uint(number: int) -> Typed:
    return Typed("uint", number)


def ubyte(number: int) -> Typed:
    return Typed("ubyte", number)


@dataclass
class Seen:
    """What a client sent."""

    headers: list[str] = field(default_factory=list)
    frames: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Performatives by name, but for transfers."""
    transfers: list[dict[str, Any]] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    """The messages of `transfers`."""


class AmqpPeer:
    """A context manager; it serves one connection."""

    def __init__(self, certificates: Certificates) -> None:
        self.seen = Seen()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.chain, certificates.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="AMQP peer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        accepted.settimeout(PATIENCE)
        with self._context.wrap_socket(accepted, server_side=True) as self._stream:
            self._handles = iter(range(100))
            self._answers = iter(range(100))
            try:
                while True:
                    self._take(self._exactly(8))
            except (EOFError, OSError):
                return

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._stream.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _send(self, descriptor: int, fields: list[Any], payload: bytes = b"", kind: int = 0) -> None:
        body = write(Described(descriptor, fields)) + payload
        self._stream.sendall(struct.pack(">IBBH", 8 + len(body), 2, kind, 0) + body)

    def _take(self, start: bytes) -> None:
        if start in HEADERS:
            self.seen.headers.append(start.hex())
            self._stream.sendall(start)
            if start[4] == 3:
                self._send(0x40, [Typed("symbols", ["ANONYMOUS", "PLAIN", "EXTERNAL", "MSSBCBS"])], kind=1)
            return
        size, offset = struct.unpack(">IB", start[:5])
        rest = self._exactly(size - 8)[4 * offset - 8 :]
        if not rest:
            return
        value, end = read(rest)
        name, fields = performative(value)
        if name == "transfer":
            self.seen.transfers.append(fields)
            self.seen.payloads.append(rest[end:])
        else:
            self.seen.frames.append((name, fields))
        answer = getattr(self, "_on_" + name.replace("-", "_"), None)
        if answer is not None:
            answer(fields)

    def _on_sasl_init(self, _: dict[str, Any]) -> None:
        self._send(0x44, [ubyte(0)], kind=1)

    def _on_open(self, _: dict[str, Any]) -> None:
        self._send(OPEN, ["FakeHub", "localhost", uint(65536), Typed("ushort", 8191), uint(120_000)])

    def _on_begin(self, _: dict[str, Any]) -> None:
        self._send(BEGIN, [Typed("ushort", 0), uint(1), uint(5000), uint(5000), uint(262_143)])

    def _on_attach(self, fields: dict[str, Any]) -> None:
        handle = uint(next(self._handles))
        receives = fields["role"] is False
        source, target = (
            Described(code, [fields[key][1]["address"]]) for key, code in (("source", 0x28), ("target", 0x29))
        )
        count = None if receives else uint(0)
        settling = [ubyte(0), ubyte(0)]
        largest = Typed("ulong", 1 << 20)
        self._send(ATTACH, [fields["name"], handle, receives, *settling, source, target, None, None, count, largest])
        if receives:
            self._send(FLOW, [uint(0), uint(5000), uint(1), uint(5000), handle, uint(0), uint(300)])

    def _on_close(self, _: dict[str, Any]) -> None:
        self._send(CLOSE, [])
        raise EOFError

    def _on_transfer(self, fields: dict[str, Any]) -> None:
        number = fields["delivery-id"]
        self._send(DISPOSITION, [True, number, number, True, Described(ACCEPTED, [])])
        found = sections(self.seen.payloads[-1])
        if any(section.descriptor == 0x74 and section.value.get("operation") == "put-token" for section in found):
            [properties] = (section.value for section in found if section.descriptor == 0x73)
            answer = write(Described(0x73, [None] * 5 + [properties[0]]))
            answer += write(Described(0x74, {"status-code": Typed("int", 200), "status-description": "OK"}))
            answer += write(Described(0x77, None))
            count = next(self._answers)
            tag = struct.pack("<I", count)
            self._send(TRANSFER, [uint(1), uint(count), tag, uint(0), False, False], answer)
