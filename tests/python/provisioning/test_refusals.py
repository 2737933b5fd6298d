"""What a device is told that gets no hub, each with the official type and text; and that it may try again."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import ProvisioningDeviceClient, aio
from azure.iot.device.common.transport_exceptions import TlsExchangeAuthError
from azure.iot.device.exceptions import (
    ClientError,
    ConnectionDroppedError,
    ConnectionFailedError,
    CredentialError,
    OperationTimeout,
    ServiceError,
)
from ferrohub import LocalHub
from support import Program

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
SECONDS = 20
"""No test waits longer than this for anything."""
DESCRIPTORS = Path("/proc/self/fd")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells of."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.02)


def refusal(sort: Any, client: Any) -> ServiceError:
    """Why the service refuses."""
    with pytest.raises(ClientError, match=r"^Unexpected failure: ") as raised:
        sort.register(client)
    cause = raised.value.__cause__
    assert isinstance(cause, ServiceError)
    assert str(raised.value) == f"Unexpected failure: {cause}"
    return cause


def test_a_device_that_is_not_enrolled_or_has_another_key_is_refused(sort: Any, hub: LocalHub) -> None:
    error = refusal(sort, sort.client("reg1", KEY))
    assert error.status == 404
    assert str(error).startswith("register request returned a service error status code 404: Not Found. (error 404204")
    hub.dps.enroll("reg1")
    client = sort.client("reg1", KEY)
    error = refusal(sort, client)
    assert error.status == 401
    assert str(error).startswith(
        "register request returned a service error status code 401: Unauthorized (error 401002"
    )
    # The same client may try again.
    hub.dps.enroll("reg1", primary_key=KEY)
    assert sort.register(client).status == "assigned"


def test_a_registration_that_fails_or_is_disabled_says_so(sort: Any, hub: LocalHub) -> None:
    client = sort.enrolled("reg1", primary_key=KEY)
    with hub.faults.fail_registrations("reg1", code=400209, message="Custom allocation failed."):
        error = refusal(sort, client)
    assert str(error) == (
        "Query Status operation returned a failed registration status with a status code of 200: Custom allocation"
        " failed. (error 400209)"
    )
    hub.dps.enroll("reg1", primary_key=KEY, status="disabled")
    assert str(refusal(sort, client)) == (
        "Query Status Operation encountered an invalid registration status disabled with a status code of 200"
    )


def test_a_device_asks_as_long_as_its_call_lasts(sort: Any, hub: LocalHub) -> None:
    client = sort.enrolled("reg1")
    for fault in (
        hub.faults.throttle_registrations(),
        hub.faults.stall_registrations("reg1"),
        hub.faults.ignore_registrations("reg1"),
    ):
        with fault:
            start = time.monotonic()
            with pytest.raises(OperationTimeout, match=r"^Could not complete operation before timeout: ") as raised:
                sort.register(client, timeout=0.3)
            assert 0.3 <= time.monotonic() - start < SECONDS
            assert "did not decide within the call's time" in str(raised.value)
        hub.faults.clear()
    assert sort.register(client, timeout=None).status == "assigned"


def test_a_service_that_refuses_the_connection_is_the_official_error(sort: Any, hub: LocalHub) -> None:
    client = sort.enrolled("reg1")
    with (
        hub.faults.reject_tokens("reg1"),
        pytest.raises(CredentialError, match=r"^Credentials invalid, could not connect: "),
    ):
        sort.register(client)
    what = "IoTHub" if sort.sdk is aio else "the provisioning server"
    with (
        hub.faults.refuse_connects("reg1", code=3),
        pytest.raises(ConnectionFailedError, match=f"^Could not connect to {what}: "),
    ):
        sort.register(client)


def test_a_subscription_that_is_refused_is_the_official_error(sort: Any, hub: LocalHub) -> None:
    client = sort.enrolled("reg1")
    what = "IoTHub" if sort.sdk is aio else "provisioning"
    with (
        hub.faults.refuse_subscriptions("reg1"),
        pytest.raises(ClientError, match=rf"^Error in the {what} client: .*\$dps/registrations/res/#"),
    ):
        sort.register(client)


def test_ctrl_c_ends_a_registration(hub: LocalHub) -> None:
    key = hub.dps.enroll("reg1").device_key("reg1")
    program = (
        "import sys; from azure.iot.device import ProvisioningDeviceClient as C;"
        " C.create_from_symmetric_key(*sys.argv[1:]).register()"
    )
    with (
        hub.faults.stall_registrations(),
        Program(sys.executable, "-c", program, hub.provisioning_host, "reg1", hub.id_scope, key) as device,
    ):
        until(lambda: bool(hub.dps.enrollment("reg1").registrations))
        start = time.monotonic()
        device.interrupt()
        ended = device.finish(SECONDS)
    assert ended.err.splitlines()[-1] == "KeyboardInterrupt"
    assert time.monotonic() - start < 10


def test_a_service_that_is_not_there_or_not_trusted_is_the_official_error(
    sort: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    client = sort.cls.create_from_symmetric_key(f"localhost:{port}", "reg1", "0ne", KEY)
    what = "IoTHub" if sort.sdk is aio else "the provisioning server"
    with pytest.raises(ConnectionFailedError, match=f"^Could not connect to {what}: "):
        sort.register(client)
    # Where clients look for the hub's CA, there is none.
    monkeypatch.setenv("FERROHUB_HOME", str(tmp_path))
    with pytest.raises(ClientError, match="is not trusted") as raised:
        sort.register(sort.client("reg1", KEY))
    assert isinstance(raised.value.__cause__, TlsExchangeAuthError)


def test_a_connection_lost_before_the_service_is_at_work_is_the_official_error(sort: Any, hub: LocalHub) -> None:
    client = sort.enrolled("reg1")
    what = "IoTHub" if sort.sdk is aio else "the provisioning server"
    stop = threading.Event()

    def drop() -> None:
        while not stop.wait(0.05):
            hub.faults.drop()

    dropping = threading.Thread(target=drop)
    with hub.faults.ignore_registrations():
        dropping.start()
        try:
            with pytest.raises((ConnectionDroppedError, ConnectionFailedError), match=what):
                sort.register(client)
        finally:
            stop.set()
            dropping.join(SECONDS)


def test_a_payload_that_json_can_not_hold_is_refused_before_anything_is_sent(sort: Any) -> None:
    client = sort.client("reg1", KEY)
    client.provisioning_payload = {"a": {1, 2}}
    with pytest.raises(ClientError, match=r"^Unexpected failure: ") as raised:
        sort.register(client)
    assert isinstance(raised.value.__cause__, TypeError)


def test_a_task_that_is_cancelled_leaves_nothing_behind(hub: LocalHub) -> None:
    key = hub.dps.enroll("reg1").device_key("reg1")

    async def program() -> None:
        client = aio.ProvisioningDeviceClient.create_from_symmetric_key(
            hub.provisioning_host, "reg1", hub.id_scope, key
        )
        tasks = asyncio.all_tasks()
        with hub.faults.stall_registrations():
            registering = asyncio.ensure_future(client.register())
            await asyncio.to_thread(until, lambda: bool(hub.dps.enrollment("reg1").registrations))
            registering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await registering
        assert asyncio.all_tasks() == tasks
        await client.register()

    asyncio.run(asyncio.wait_for(program(), SECONDS))


def descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are counted in /proc")
@pytest.mark.timeout(120)
def test_failed_registrations_leave_no_descriptor_and_no_thread(hub: LocalHub) -> None:
    hub.dps.enroll("reg1")

    def fail() -> None:
        client = ProvisioningDeviceClient.create_from_symmetric_key(hub.provisioning_host, "reg1", hub.id_scope, KEY)
        with pytest.raises(ClientError):
            client.register()

    async def fail_together(count: int) -> None:
        async def fail() -> None:
            client = aio.ProvisioningDeviceClient.create_from_symmetric_key(
                hub.provisioning_host, "reg1", hub.id_scope, KEY
            )
            with pytest.raises(ClientError):
                await client.register()

        for _ in range(count // 20):
            await asyncio.gather(*(fail() for _ in range(20)))

    fail()
    asyncio.run(fail_together(20))
    before, threads = descriptors(), threading.active_count()
    for _ in range(500):
        fail()
    asyncio.run(fail_together(500))
    # Both ends of a connection are this process's, and the hub's closes a moment later.
    until(lambda: descriptors() <= before)
    assert threading.active_count() <= threads
