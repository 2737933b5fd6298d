"""Mosquitto, and the part behind it of hub and provisioning service.

Answers to requests, messages to clients, a session taken away.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from wire import packets

TCP_PORT, WEBSOCKET_PORT = 1883, 9001
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SECONDS = 20
"""Nothing is waited for longer."""
TWIN = '{"desired": {"interval": 5, "$version": 4}, "reported": {"$version": 2}}'

CONFIGURATION = f"""
user root
allow_anonymous true
log_dest stderr
listener {TCP_PORT} 127.0.0.1
listener {WEBSOCKET_PORT} 127.0.0.1
protocol websockets
"""


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[None]:
    """A broker that lets everyone in, for as long as the context lasts."""
    assert MOSQUITTO, "it is not installed"
    file = folder / "mosquitto.conf"
    file.write_text(CONFIGURATION)
    with subprocess.Popen([MOSQUITTO, "-c", file], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if re.search(r"mosquitto version \S+ running", line):
                break
        else:
            raise RuntimeError(f"mosquitto did not start: {said}")
        # It would stop with its output full.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield
        finally:
            process.terminate()


class BackEnd:
    """A client of the broker with a hub's part. A context manager."""

    def __init__(self) -> None:
        self.registrations: list[tuple[int, str, str]] = []
        """What a provisioning service will answer: a status, what else stands in the topic, and the body."""
        self._lock = threading.Lock()

    def __enter__(self) -> BackEnd:
        self._socket = _connected("back end")
        self._send(0x82, struct.pack(">H", 1) + b"".join(_text(topic) + b"\0" for topic in _REQUESTS))
        assert _read_packet(self._socket)[0] == 0x90, "no SUBACK"
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._socket.close()

    def publish(self, topic: str, payload: str, qos: int = 0) -> None:
        """Send a message to whoever has subscribed."""
        identifier = struct.pack(">H", 1) if qos else b""
        self._send(0x30 | qos << 1, _text(topic) + identifier + payload.encode())

    def _send(self, first: int, body: bytes) -> None:
        with self._lock:
            self._socket.sendall(_packet(first, body))

    def _answer(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                first, body = _read_packet(self._socket)
                if first >> 4 != 3:
                    continue
                topic = packets.decode(first, body)["topic"]
                request = topic.partition("$rid=")[2]
                if topic.startswith("$dps/"):
                    status, more, answer = self.registrations.pop(0)
                    self.publish(f"$dps/registrations/res/{status}/?$rid={request.partition('&')[0]}{more}", answer)
                elif "/GET/" in topic:
                    self.publish(f"$iothub/twin/res/200/?$rid={request}", TWIN)
                else:
                    self.publish(f"$iothub/twin/res/204/?$rid={request}&$version=3", "")


def forget_session(client_id: str) -> None:
    """Take a client's session away, and its connection with it."""
    with _connected(client_id) as connection:
        connection.sendall(_packet(0xE0, b""))


_REQUESTS = (
    "$iothub/twin/GET/#",
    "$iothub/twin/PATCH/properties/reported/#",
    "$dps/registrations/PUT/#",
    "$dps/registrations/GET/#",
)


def _connected(client_id: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", TCP_PORT), SECONDS)
    connection.sendall(_packet(0x10, _text("MQTT") + b"\x04\x02\x00\x00" + _text(client_id)))
    assert _read_packet(connection) == (0x20, b"\0\0"), "no CONNACK"
    connection.settimeout(None)
    return connection


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _packet(first: int, body: bytes) -> bytes:
    length, encoded = len(body), b""
    while length > 0x7F:
        encoded += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([first]) + encoded + bytes([length]) + body


def _read_packet(connection: socket.socket) -> tuple[int, bytes]:
    stream = b""
    while (found := packets.split(stream)) is None:
        piece = connection.recv(1)
        if not piece:
            raise EOFError
        stream += piece
    return found[0], found[1]
