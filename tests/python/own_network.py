"""Run inside `unshare -rnm`: bring the loopback up, add lines to /etc/hosts, then become the given command."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def bring_up_loopback() -> None:
    """What `ip link set lo up` does; `ip` is not everywhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def add_hosts(lines: str) -> None:
    """Put a longer /etc/hosts over the real one, for this process and its children."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(Path("/etc/hosts").read_text("utf-8") + "\n" + lines + "\n")
    Path(file.name).chmod(0o644)
    subprocess.run(["mount", "--bind", file.name, "/etc/hosts"], check=True)


if __name__ == "__main__":
    bring_up_loopback()
    if sys.argv[1]:
        add_hosts(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
