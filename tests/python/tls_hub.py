"""A hub that lets every client in and keeps what it was shown: for what the local hub does not look at.

It speaks TLS on a port of its own and asks for a certificate of the test's CA without insisting on one.
"""

from __future__ import annotations

import queue
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

ACCEPTED = b"\x20\x02\x01\x00"


@dataclass
class Shown:
    """What a client has shown."""

    certificate: str | None
    cipher: str
    version: str | None
    server_name: str | None
    client_id: str
    user_name: str
    password: str | None
    keep_alive: int


class TlsHub:
    """The hub; a context manager."""

    def __init__(self, folder: Path) -> None:
        """`folder` has ca.pem, server.pem and server.key."""
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._tls.load_verify_locations(folder / "ca.pem")
        self._tls.verify_mode = ssl.CERT_OPTIONAL
        self._tls.sni_callback = self._named
        self._server_name: str | None = None
        self._shown: queue.Queue[Shown] = queue.Queue()
        self.ca = (folder / "ca.pem").read_text()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._open:
            connection.close()

    @property
    def host_name(self) -> str:
        """For clients."""
        return f"localhost:{self._listener.getsockname()[1]}"

    def shown(self) -> Shown:
        """What the next client has shown."""
        try:
            return self._shown.get(timeout=20)
        except queue.Empty:
            pytest.fail("no client came")

    def _named(self, _connection: object, name: str | None, _context: object) -> None:
        self._server_name = name

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.settimeout(20)
            connection = self._tls.wrap_socket(plain, server_side=True)
            self._open.append(connection)
            self._shown.put(self._read_connect(connection))
            connection.sendall(ACCEPTED)

    def _read_connect(self, connection: ssl.SSLSocket) -> Shown:
        packet = connection.recv(4096)
        assert packet[0] == 0x10
        start = packet.index(b"\x00\x04MQTT\x04") + 7
        flags, keep_alive = struct.unpack_from(">BH", packet, start)
        fields = []
        at = start + 3
        while at < len(packet):
            (length,) = struct.unpack_from(">H", packet, at)
            fields.append(packet[at + 2 : at + 2 + length].decode())
            at += 2 + length
        assert flags == (0xC0 if len(fields) == 3 else 0x80), "clean session and will are never set"
        cipher = connection.cipher()
        assert cipher
        subject: Any = (connection.getpeercert() or {}).get("subject", ())
        names = dict(part[0] for part in subject)
        return Shown(
            certificate=names.get("commonName"),
            cipher=cipher[0],
            version=connection.version(),
            server_name=self._server_name,
            client_id=fields[0],
            user_name=fields[1],
            password=fields[2] if len(fields) == 3 else None,
            keep_alive=keep_alive,
        )
