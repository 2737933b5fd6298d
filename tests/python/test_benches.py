"""What `make bench` and `make instructions` say of figures, and the way that is 50 ms long."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator

import instructions
import pytest
from support import ROOT, Program
from table import Measure, Outcome, Target, What, outcomes

ONE_WAY = 0.05
"""Seconds."""
PIECES = 64


@pytest.mark.parametrize(
    ("what", "bound", "rounds", "verdict"),
    [
        (What.RATE, 4.0, [1.0, 4.0, 9.0], "ok"),
        (What.RATE, 4.0, [3.4, 3.4, 9.0], "near"),
        (What.RATE, 4.0, [3.3, 3.3, 9.0], "BELOW"),
        (What.CPU, 0.2, [0.1, 0.2, 0.9], "ok"),
        (What.CPU, 0.2, [0.1, 0.23, 0.9], "near"),
        (What.CPU, 0.2, [0.1, 0.24, 0.9], "BELOW"),
    ],
)
def test_the_median_of_the_rounds_is_held_against_the_target(
    what: What, bound: float, rounds: list[float], verdict: str
) -> None:
    assert Outcome(Target(what, bound), rounds, has_peer=True).verdict == verdict


def test_a_ratio_is_that_of_one_round() -> None:
    ours = [Measure(calls=calls, seconds=1, cpu=calls * 1e-6, memory=0) for calls in (100, 900)]
    peer = [Measure(calls=calls, seconds=1, cpu=calls * 4e-6, memory=0) for calls in (50, 300)]
    rate, cpu = outcomes([Target(What.RATE, 1), Target(What.CPU, 1)], list(zip(ours, peer)))
    assert rate.rounds == pytest.approx([2, 3])
    assert cpu.rounds == pytest.approx([1 / 4, 1 / 4])


def test_a_path_that_takes_a_tenth_more_instructions_is_told_with_what_to_do() -> None:
    assert instructions.verdict("hub", 1090, 1000).startswith("ok ")
    slower = instructions.verdict("hub", 1110, 1000)
    assert slower.startswith("SLOWER hub: 1,110 instructions a message, 1,000 expected (+11.0%)")
    assert slower.endswith("--renew")
    assert instructions.verdict("hub", 890, 1000).startswith("FASTER")


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes."""

    def handle(self) -> None:
        while piece := self.request.recv(4096):
            self.request.sendall(piece)


@pytest.fixture
def far_echo() -> Iterator[socket.socket]:
    """A connection to an echo, through the proxy."""
    with socketserver.ThreadingTCPServer(("127.0.0.2", 0), Echo) as server:
        server.daemon_threads = True
        port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = ROOT / "benches" / "delay_proxy.py"
        arguments = ("127.0.0.3", "127.0.0.2", str(port), str(ONE_WAY * 1000))
        with Program(sys.executable, proxy, *arguments) as program:
            program.wait_for("ready")
            with socket.create_connection(("127.0.0.3", port), timeout=20) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield connection
        server.shutdown()


def test_the_proxy_delays_each_byte_and_limits_no_rate(far_echo: socket.socket) -> None:
    began = time.monotonic()
    for number in range(PIECES):
        far_echo.sendall(bytes([number]))
    came = b""
    while len(came) < PIECES:
        came += far_echo.recv(PIECES)
        assert time.monotonic() - began >= 2 * ONE_WAY
    assert came == bytes(range(PIECES))
    # One after another they would take more than six seconds.
    assert time.monotonic() - began < PIECES * ONE_WAY
