"""A proxy of the tests' own: HTTP CONNECT with one user, in a thread for each connection."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading

from azure.iot.device import ProxyOptions
from typing_extensions import Self

USER, PASSWORD = "Aladdin", "open sesame"


class HttpProxy:
    """A context manager. `targets` is what it was asked for by those whom it let through."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        # Shutdown wakes the threads that wait; they close.
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def options(self, password: str = PASSWORD) -> ProxyOptions:
        return ProxyOptions("HTTP", "localhost", self.port, USER, password)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            with client.makefile("rb") as file:
                target = file.readline().split()[1].decode()
                lines = iter(lambda: file.readline().decode().strip(), "")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            user = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if headers.get("proxy-authorization") != f"Basic {user}":
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            self.targets.append(target)
            host, port = target.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as hub:
                self._sockets.append(hub)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pass_on, args=(hub, client), daemon=True)
                back.start()
                _pass_on(client, hub)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
