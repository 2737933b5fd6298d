"""A server that records the requests of a service client and answers as a test tells it.

It speaks TLS on a port of its own, directly for `localhost`, and as a proxy (`CONNECT`) for any other host
name, so that requests to `contoso-hub.azure-devices.net` can be recorded as they are.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Union

HOSTS = ("localhost", "contoso-hub.azure-devices.net")
THREADS = "recorder"
"""The name of its threads."""
JSON = (("Content-Type", "application/json; charset=utf-8"),)


@dataclass
class Answer:
    """What the server says. Without a status it says nothing and closes the connection."""

    status: int | None = 200
    reason: str = "OK"
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = JSON
    then_close: bool = False

    def written(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {self.reason}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@dataclass
class Recorded:
    """A request as it came in."""

    connection: int
    line: str
    headers: dict[str, str]
    body: bytes


Answers = Union[Answer, Callable[[Recorded], Answer]]


@dataclass
class Certificates:
    """A CA and a server certificate it signed for `HOSTS`."""

    ca: Path
    chain: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Made anew for a test session, so that no key lies in the repository."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    names = ",".join(f"DNS:{host}" for host in HOSTS) + ",IP:127.0.0.1"
    (folder / "extensions").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *sign)
    return Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")


@dataclass
class RecordingHub:
    """The server; a context manager. `answers` is what each request gets; `requests` what came.

    Connections are counted from 1; `ended` has the numbers of those that ended.
    """

    certificates: Certificates
    answers: Answers = field(default_factory=Answer)
    requests: list[Recorded] = field(default_factory=list)
    connections: int = 0
    ended: queue.Queue[int] = field(default_factory=queue.Queue)

    def __enter__(self) -> RecordingHub:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificates.chain, self.certificates.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name=THREADS, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        # shutdown wakes the thread that waits in accept; close alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def connection_string(self, key: str = "Zm9vYmFy") -> str:
        return f"HostName=localhost:{self.port};SharedAccessKeyName=iothubowner;SharedAccessKey={key}"

    def drop_connections(self) -> None:
        """End every connection, as a server does that has been idle for long.

        The thread that serves it closes it: closed here, its number could be another connection's before that
        thread is done with it.
        """
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), name=THREADS, daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if connection.recv(1, socket.MSG_PEEK) == b"C":
                _read_head(connection)
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                self._open.append(encrypted)
                while self._answer_one(encrypted, number):
                    pass
        except (OSError, EOFError):
            connection.close()
        finally:
            self.ended.put(number)

    def _answer_one(self, connection: socket.socket, number: int) -> bool:
        line, *lines = _read_head(connection)
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("Content-Length", headers.get("content-length", "0")))
        request = Recorded(number, line, headers, _read(connection, length))
        self.requests.append(request)
        answer = self.answers if isinstance(self.answers, Answer) else self.answers(request)
        if answer.status is None:
            return False
        connection.sendall(answer.written())
        return not answer.then_close


def _read_head(connection: socket.socket) -> list[str]:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _read(connection, 1)
    return head.decode("latin-1").split("\r\n")[:-2]


def _read(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        piece = connection.recv(length - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content
