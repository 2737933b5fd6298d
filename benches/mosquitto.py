"""Mosquitto, with TLS on an address of its own, and what it says that it has received."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

from typing_extensions import Self

ADDRESS = "127.0.0.2"
PORT, PLAIN_PORT = 8883, 1883
RECEIVED = "$SYS/broker/publish/messages/received"
"""How many PUBLISH packets; told anew each second."""
CONFIGURATION = f"""
user root
allow_anonymous true
log_dest stderr
sys_interval 1
set_tcp_nodelay true
listener {PORT} {ADDRESS}
certfile server.pem
keyfile server.key
listener {PLAIN_PORT} {ADDRESS}
"""
PATIENCE = 20


class Mosquitto:
    """A broker that lets everyone in, with the certificate in this folder. A context manager."""

    def __init__(self, folder: Path) -> None:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        command = shutil.which("mosquitto", path=path)
        if not (command and shutil.which("mosquitto_sub")):
            raise SystemExit("these rows need mosquitto: apt-get install mosquitto mosquitto-clients")
        self._command, self._folder = command, folder
        self._received, self._told = 0, threading.Condition()

    def __enter__(self) -> Self:
        (self._folder / "mosquitto.conf").write_text(CONFIGURATION)
        self.process = subprocess.Popen(
            [self._command, "-c", "mosquitto.conf"], cwd=self._folder, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.rstrip().endswith("running"):
                break
        else:
            raise RuntimeError(f"mosquitto did not start: {''.join(said)}")
        # It would stop with its output full.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self._subscriber = subprocess.Popen(
            ["mosquitto_sub", "-h", ADDRESS, "-p", str(PLAIN_PORT), "-t", RECEIVED], stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._follow, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._subscriber, self.process):
            process.terminate()
            process.wait(PATIENCE)

    def _follow(self) -> None:
        assert self._subscriber.stdout
        for line in self._subscriber.stdout:
            with self._told:
                self._received = int(line)
                self._told.notify_all()

    def wait_received(self, count: int) -> int:
        """How many messages have come since the start: at least so many, unless they don't come."""
        with self._told:
            self._told.wait_for(lambda: self._received >= count, timeout=5)
            return self._received
