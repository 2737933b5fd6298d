"""Real packets are dropped and rejected: calls end in time, a dead connection is noticed, and nothing hangs.

Each fault has a network of its own, in which `network_run.py` measures.
"""

from __future__ import annotations

import json
import statistics
import sys

import network_run
import pytest
from support import ROOT, own_network, run

pytestmark = pytest.mark.alone

LATE = 0.1
"""Seconds after its time at which a call has ended; one may meet a busy moment of the machine."""
BUSY = 1.0
AT_ONCE = {"no route at first", "SYN rejected"}
"""Faults of a first attempt that fails by itself: its error is the call's."""


@pytest.fixture(scope="module", autouse=True)
def iptables_works() -> None:
    """Skips where it is missing, or may do nothing even in a network of its own."""
    probe = run(*own_network([network_run.IPTABLES, "--list"]))
    if probe.code != 0:
        pytest.skip(f"iptables is refused here: {probe.err}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", network_run.FAULTS)
def test_every_call_ends_in_its_time_and_the_client_is_back_afterwards(fault: str) -> None:
    program = ROOT / "tests" / "python" / "network_run.py"
    ran = run(*own_network([sys.executable, program, fault]), timeout=100)
    assert (ran.code, ran.err) == (0, "")
    seen = json.loads(ran.out)
    lateness = []
    for client, call, error, seconds in seen["calls"]:
        if fault == "no PUBACK" and call in {"get_twin", "patch"}:
            assert error == "", "the answer came, and means more than the PUBACK"
        elif fault in AT_ONCE:
            assert error == "ConnectionFailedError"
            assert seconds < network_run.TIMEOUT + BUSY
        else:
            assert error == "OperationTimeout", (client, call)
            lateness.append(seconds - network_run.TIMEOUT)
    if lateness:
        assert min(lateness) >= 0
        assert statistics.median(lateness) <= LATE
        assert max(lateness) <= BUSY
    if fault == "packets dropped":
        assert all(seconds <= 1.5 * network_run.KEEP_ALIVE + BUSY for seconds in seen["lost"].values())
    assert max(seen["shutdowns"].values()) < 1 + BUSY, "a farewell takes a second at most"
