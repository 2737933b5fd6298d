"""A local hub and its clients in a network of their own, whose packets are lost: how long do calls wait?

A program, to be run by `own_network`: `python network_run.py FAULT`. Clients over TCP and WebSockets, synchronous and
asyncio, meet the fault at the same time. Prints as JSON what it measured, in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from azure.iot.device import IoTHubDeviceClient, MethodResponse, aio
from azure.iot.hub import IoTHubRegistryManager
from ferrohub import LocalHub

IPTABLES = shutil.which("iptables", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "iptables"
TIMEOUT = 1.0
KEEP_ALIVE = 2
PATIENCE = 20.0
LARGE = "x" * 250_000


@contextlib.contextmanager
def iptables(hub: LocalHub, *target: str, both_ways: bool = False) -> Iterator[None]:
    """Do this with packets to the hub, or with those in both directions."""
    ports = ["--dport", "--sport"] if both_ways else ["--dport"]
    rules = [["INPUT", "-p", "tcp", port, str(hub.port), "-j", *target] for port in ports]
    for rule in rules:
        subprocess.run([IPTABLES, "-I", *rule], check=True, timeout=PATIENCE)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run([IPTABLES, "-D", *rule], check=True, timeout=PATIENCE)


def cut(hub: LocalHub) -> contextlib.AbstractContextManager[None]:
    """No packet arrives any more, and nobody says so."""
    return iptables(hub, "DROP", both_ways=True)


def reset(hub: LocalHub) -> contextlib.AbstractContextManager[None]:
    """Every packet to the hub is answered as if nothing listened there."""
    return iptables(hub, "REJECT", "--reject-with", "tcp-reset")


def unroute(hub: LocalHub) -> contextlib.AbstractContextManager[None]:
    """Every packet to the hub is answered by a router that knows no way."""
    return iptables(hub, "REJECT", "--reject-with", "icmp-net-unreachable")


Spoil = Callable[[LocalHub], "contextlib.AbstractContextManager[Any]"]

FAULTS: dict[str, tuple[bool, Spoil]] = {
    # name: (whether the clients are connected before, what goes wrong)
    "no route": (True, unroute),
    "packets dropped": (True, cut),
    "packets rejected": (True, reset),
    "hub stops reading": (True, lambda hub: hub.faults.freeze()),
    "no PUBACK": (True, lambda hub: hub.faults.withhold_pubacks()),
    "no route at first": (False, unroute),
    "SYN dropped": (False, cut),
    "SYN rejected": (False, reset),
    "no CONNACK": (False, lambda hub: hub.faults.freeze()),
}


class Measured:
    """How calls ended: (client, call, error, seconds)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, float]] = []
        self.lost: dict[str, float] = {}
        self.shutdowns: dict[str, float] = {}

    def end(self, client: str, call: str, begin: float, error: BaseException | None) -> None:
        self.calls.append((client, call, "" if error is None else type(error).__name__, time.monotonic() - begin))


class SyncSide:
    """A synchronous client."""

    def __init__(self, name: str, string: str, options: dict[str, Any], measured: Measured) -> None:
        self.name, self.measured, self.was_connected = name, measured, False
        self.client = IoTHubDeviceClient.create_from_connection_string(string, **options)
        self.up = threading.Event()

    def connect(self) -> None:
        self.client.connect()
        self.client.get_twin()
        self.was_connected = True

    def watch(self, begin: float) -> None:
        def changed() -> None:
            if not self.client.connected:
                self.measured.lost.setdefault(self.name, time.monotonic() - begin)

        self.client.on_connection_state_change = changed

    def meet(self) -> None:
        client = self.client
        response = MethodResponse("1", 200, None)
        calls: dict[str, Callable[[], Any]] = {
            "send_message": lambda: client.send_message(LARGE, timeout=TIMEOUT),
            "get_twin": lambda: client.get_twin(timeout=TIMEOUT),
            "patch": lambda: client.patch_twin_reported_properties({"a": 1}, timeout=TIMEOUT),
            "respond": lambda: client.send_method_response(response, timeout=TIMEOUT),
            "send_messages": lambda: raise_first(client.send_messages([LARGE] * 40, timeout=TIMEOUT)),
        }
        if not self.was_connected:
            calls["connect"] = lambda: client.connect(timeout=TIMEOUT)
        with ThreadPoolExecutor(len(calls)) as pool:
            for name, call in calls.items():
                pool.submit(self.take_time, name, call)

    def take_time(self, name: str, call: Callable[[], Any]) -> None:
        begin, failure = time.monotonic(), None
        try:
            call()
        except Exception as error:  # noqa: BLE001 - it is reported
            failure = error
        self.measured.end(self.name, name, begin, failure)

    def recover(self) -> None:
        self.client.send_message("after", timeout=PATIENCE)

    def shut_down(self) -> None:
        begin = time.monotonic()
        self.client.shutdown()
        self.measured.shutdowns[self.name] = time.monotonic() - begin


class AioSide:
    """An asyncio client, on a loop of its own in a thread."""

    def __init__(self, name: str, string: str, options: dict[str, Any], measured: Measured) -> None:
        self.name, self.measured, self.was_connected = name, measured, False
        self.client = aio.IoTHubDeviceClient.create_from_connection_string(string, **options)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(2 * PATIENCE)

    def connect(self) -> None:
        self.run(self.client.connect())
        self.run(self.client.get_twin())
        self.was_connected = True

    def watch(self, begin: float) -> None:
        """The synchronous client is watched."""

    def meet(self) -> None:
        self.run(self.meet_on_loop())

    async def meet_on_loop(self) -> None:
        client = self.client
        calls = {
            "send_message": client.send_message(LARGE, timeout=TIMEOUT),
            "get_twin": client.get_twin(timeout=TIMEOUT),
            "patch": client.patch_twin_reported_properties({"a": 1}, timeout=TIMEOUT),
            "respond": client.send_method_response(MethodResponse("1", 200, None), timeout=TIMEOUT),
        }
        if not self.was_connected:
            calls["connect"] = client.connect(timeout=TIMEOUT)
        await asyncio.gather(*(self.take_time(name, call) for name, call in calls.items()))

    async def take_time(self, name: str, call: Any) -> None:
        begin, failure = time.monotonic(), None
        try:
            await call
        except Exception as error:  # noqa: BLE001 - it is reported
            failure = error
        self.measured.end(self.name, name, begin, failure)

    def recover(self) -> None:
        self.run(self.client.send_message("after", timeout=PATIENCE))

    def shut_down(self) -> None:
        begin = time.monotonic()
        self.run(self.client.shutdown())
        self.measured.shutdowns[self.name] = time.monotonic() - begin


def raise_first(outcomes: list[Exception | None]) -> None:
    """The first error among the outcomes."""
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


def sides(hub: LocalHub, measured: Measured, *, but: str = "") -> list[SyncSide | AioSide]:
    """A client of each sort over each transport."""
    registry = IoTHubRegistryManager(hub.connection_string)
    made: list[SyncSide | AioSide] = []
    for sort in (SyncSide, AioSide):
        for transport in ("TCP", "WebSocket"):
            name = f"{sort.__name__}-{transport}{but}"
            registry.create_device_with_sas(name, "", "", "enabled")
            options = {
                "keep_alive": KEEP_ALIVE,
                "connection_retry_interval": 1,
                "websockets": transport == "WebSocket",
            }
            # By address: the rules are for IPv4.
            string = f"{hub.device_connection_string(name)};GatewayHostName=127.0.0.1:{hub.port}"
            made.append(sort(name, string, options, measured))
    return made


def main(fault: str) -> dict[str, Any]:
    """Meet the fault, recover from it; and shut other clients down in the middle of it."""
    connected_before, spoil = FAULTS[fault]
    measured = Measured()
    with LocalHub() as hub, ThreadPoolExecutor(20) as pool:
        lasting, ending = sides(hub, measured), sides(hub, measured, but="-ending")

        def each(of: list[SyncSide | AioSide], what: str, *arguments: Any) -> None:
            for done in [pool.submit(getattr(side, what), *arguments) for side in of]:
                done.result(3 * PATIENCE)

        if connected_before:
            each(lasting + ending, "connect")
            each(lasting, "watch", time.monotonic())
        with spoil(hub):
            each(lasting + ending, "meet")
            each(ending, "shut_down")
            deadline = time.monotonic() + PATIENCE
            noticed = 2 if fault == "packets dropped" else 0
            while len(measured.lost) < noticed and time.monotonic() < deadline:
                time.sleep(0.01)
        each(lasting, "recover")
        each(lasting, "shut_down")
    return vars(measured)


if __name__ == "__main__":
    logging.disable()  # losses are the subject
    print(json.dumps(main(sys.argv[1])))
