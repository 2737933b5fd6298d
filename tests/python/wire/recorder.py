"""What stands between a client and Mosquitto: it speaks TLS with the client, keeps each packet, and passes it on.

Port 8883 is MQTT, port 443 a WebSocket, as on Azure's hubs. What comes from the broker
passes unread, unless it is held back.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from wire import packets
from wire.broker import SECONDS, TCP_PORT, WEBSOCKET_PORT
from wire.packets import Packet
from wire.websocket import FromClient

STANDARD_PORTS = {8883: TCP_PORT, 443: WEBSOCKET_PORT}


class Connection(ssl.SSLSocket):
    """A client's; with the name it asked for in the handshake."""

    asked_for: str | None = None


class Recorder:
    """The packets of one client after another. A context manager."""

    def __init__(self, folder: Path) -> None:
        """`folder` has ca.pem, server.pem and server.key."""
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._tls.load_verify_locations(folder / "ca.pem")
        self._tls.verify_mode = ssl.CERT_OPTIONAL
        self._tls.set_alpn_protocols(["mqtt", "http/1.1"])
        self._tls.sslsocket_class = Connection
        self._tls.sni_callback = _note_name
        # By connection: the first may end while the next begins, and what came first is chance.
        self._records: list[list[Packet]] = []
        self.upgrade: list[str] | None = None
        """The last request for a WebSocket, line by line."""
        self._changed = threading.Condition()
        self._open: list[socket.socket] = []
        self._served = 0
        self._passes = threading.Event()
        self._passes.set()

    def __enter__(self) -> Recorder:
        self._listeners = []
        for port, target in STANDARD_PORTS.items():
            listener = socket.create_server(("127.0.0.1", port))
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, target), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def start(self) -> None:
        """Begin a new record."""
        with self._changed:
            self._records = []

    def record(self) -> list[Packet]:
        """What has come since."""
        with self._changed:
            return list(self._packets())

    def wait_for_the_end(self) -> None:
        """Wait until no client is connected."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._served == 0, SECONDS):
                raise TimeoutError(f"still connected: {self._records}")

    def wait_for(self, what: Callable[[Packet], bool], count: int = 1) -> None:
        """Wait until so many packets of the record are of this sort."""
        with self._changed:
            if not self._changed.wait_for(lambda: sum(map(what, self._packets())) >= count, SECONDS):
                raise TimeoutError(f"not {count} of them in {self._records}")

    def hold_back(self) -> None:
        """Let nothing through to the client any more."""
        self._passes.clear()

    def drop(self) -> None:
        """End the connections; what was held back is lost, what comes on new ones passes."""
        # The threads that read them close them.
        for connection in self._open:
            _end(connection)
        self._open.clear()
        self._passes.set()

    def _packets(self) -> Iterator[Packet]:
        return itertools.chain.from_iterable(self._records)

    def _keep(self, packet: Packet, record: list[Packet]) -> None:
        with self._changed:
            record.append(packet)
            self._changed.notify_all()

    def _accept(self, listener: socket.socket, target: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                record: list[Packet] = []
                with self._changed:
                    self._served += 1
                    self._records.append(record)
                threading.Thread(target=self._serve, args=(plain, target, record), daemon=True).start()

    def _serve(self, plain: socket.socket, target: int, record: list[Packet]) -> None:
        # A client that goes away in the middle of a packet ends its connection, and nothing else.
        with contextlib.suppress(OSError), self._tls.wrap_socket(plain, server_side=True) as client:
            assert isinstance(client, Connection)
            with socket.create_connection(("127.0.0.1", target)) as broker:
                self._open += [client, broker]
                back = threading.Thread(target=self._pass_back, args=(broker, client), daemon=True)
                back.start()
                with contextlib.suppress(OSError):
                    self._pass_on(client, broker, record, FromClient() if target == WEBSOCKET_PORT else None)
                _end(broker)
                back.join()
        with self._changed:
            self._served -= 1
            self._changed.notify_all()

    def _pass_on(
        self, client: Connection, broker: socket.socket, record: list[Packet], frames: FromClient | None
    ) -> None:
        opened = False
        stream = b""
        while piece := client.recv(65536):
            stream += frames.feed(piece) if frames else piece
            if not opened and not (frames and frames.upgrade is None):
                opened = True
                self.upgrade = frames.upgrade if frames else self.upgrade
                self._keep({"packet": "OPEN", **_shown(client)}, record)
            while (found := packets.split(stream)) is not None:
                first, body, stream = found
                self._keep(packets.decode(first, body), record)
            broker.sendall(piece)

    def _pass_back(self, broker: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := broker.recv(65536):
                self._passes.wait(SECONDS)
                client.sendall(piece)
        _end(client)


def _end(connection: socket.socket) -> None:
    """Wake whoever reads it; that one closes it."""
    with contextlib.suppress(OSError):
        # Its own `shutdown` would have a TLS socket read on without TLS.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _note_name(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    assert isinstance(connection, Connection)
    connection.asked_for = name


def _shown(client: Connection) -> Packet:
    certificate: dict[str, Any] = client.getpeercert() or {}
    subject = dict(pair for part in certificate.get("subject", ()) for pair in part)
    return {
        "server_name": client.asked_for,
        "alpn": client.selected_alpn_protocol(),
        "certificate": subject.get("commonName"),
    }
