"""A local hub: Azure IoT Hub on this machine, for tests and for work without an Azure account.

    with ferrohub.LocalHub() as hub:
        registry = IoTHubRegistryManager(hub.connection_string)

It runs in this process on threads of its own, or with `process=True` in a process of its own, which can be killed and
started again. Either way it is asked through requests and answers in JSON (`src/hub/control.rs`).
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from ferrohub import _hub_handles as handles
from ferrohub._hub_dps import Dps, Enrollment, Registered, derive_key
from ferrohub._hub_edge import EdgeWorkload
from ferrohub._hub_events import Events, TelemetryMessage, telemetry_message
from ferrohub._hub_faults import Fault, Faults
from ferrohub._hub_files import A_LONG_TIME, FileNotification, Files
from ferrohub._hub_messages import Messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = [
    "Dps",
    "EdgeWorkload",
    "Enrollment",
    "Fault",
    "Faults",
    "FileNotification",
    "LocalHub",
    "Registered",
    "TelemetryMessage",
    "derive_key",
]

# Beside `iothubowner`. Their keys follow from its key.
_LESSER_POLICIES = ("service", "device", "registryRead", "registryReadWrite")


class LocalHub(Files, Messages):
    """A local hub; a context manager, also an asynchronous one. It is ready when entered.

    Programs on this machine that use ferrohub trust its certificate; others need `ca_file`. Two hubs may run at once:
    they have ports of their own and nothing in common but the CA and, by default, the key.
    """

    def __init__(
        self,
        port: int = 0,
        data: str | os.PathLike[str] | None = None,
        process: bool = False,
        standard_ports: bool = False,
        host_name: str | None = None,
        key: str | None = None,
        limits: Mapping[str, int] | None = None,
        partitions: int | None = None,
        consumer_groups: Iterable[str] = (),
        events: Iterable[str] = (),
    ) -> None:
        """Prepare a hub; nothing happens before it is started.

        Args:
            port: Where everything is served: REST and MQTT, over TLS. 0 finds a free one.
            data: A file that keeps identities, twins and sessions; without it they are gone with the hub. An answer
                leaves the hub only when what it tells is on disk.
            process: Run it in a process of its own, which has `pid`, `kill()` and `restart()`.
            standard_ports: Listen on 8883 and 5671 too, and on 443 where the system permits. Microsoft's packages know
                no other port.
            host_name: The name that other machines use. The hub then listens on every interface, with a CA that
                nothing trusts by default and a random key.
            key: The key of the policy `iothubowner` in base64, or `"random"`. The default is the same well-known key
                for every local hub.
            limits: What it holds at most, where that is not what Azure's hubs do: `identities` (1,000,000 devices and
                modules), `modules` (50 of a device), `active_jobs` (1; Azure's larger hubs have 5 or 10),
                `feedback_seconds` (15; for how long feedback on messages waits for a full batch); and of what devices
                send, for back ends to read, `events` (500,000), `event_megabytes` (128) and `event_hours` (24).
            partitions: How many partitions the built-in endpoint of events has: 4, or those of the data file, which
                stay as they are.
            consumer_groups: The consumer groups that may read it, beside `$Default`.
            events: What it tells beside what devices send, as routes of Azure's hubs name it: `twinChangeEvents`,
                `deviceLifecycleEvents`, `deviceConnectionStateEvents`.
        """
        path = None if data is None else os.fspath(data)
        named = [f"{name}={number}" for name, number in (limits or {}).items()]
        self._options = handles.Options(
            port, standard_ports, path, host_name, key, named, partitions, list(consumer_groups), list(events)
        )
        self._process = process
        self._handle: handles.Handle | None = None
        self._description: dict[str, Any] | None = None

    # --- running --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the hub; it takes connections when this returns.

        Raises:
            OSError: A port or the data file can't be used; the text says why and what to do.
            ValueError: An option can't be used.
            RuntimeError: It is running.
        """
        if (error := self._start()) is not None:
            raise error

    def stop(self) -> None:
        """Stop the hub within a second or so: connections end, the data file is closed. Again, it does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.stop()

    def __enter__(self) -> Self:
        if (error := self._start()) is not None:
            raise error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        if (error := await _elsewhere(self._start)) is not None:
            raise error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await _elsewhere(self.stop)

    @property
    def pid(self) -> int:
        """The number of the hub's process: this one's, unless `process=True`."""
        return self._running().pid

    def kill(self) -> None:
        """End the hub's process at once, as a crash would (SIGKILL). Needs `process=True`."""
        if (error := self._running().kill()) is not None:
            raise error
        self._handle = None

    def restart(self) -> None:
        """Start the hub again on the same port, with the same data file and key. What is in memory only is gone.

        Raises:
            OSError: The port was taken meanwhile, or the data file can't be used.
        """
        self.stop()
        if (error := self._start()) is not None:
            raise error

    # --- reaching it ----------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port for everything."""
        port: int = self._described("port")
        return port

    @property
    def host_name(self) -> str:
        """The host name, without a port."""
        host_name: str = self._described("hostName")
        return host_name

    @property
    def connection_string(self) -> str:
        """The service connection string, of the policy `iothubowner`."""
        connection_string: str = self._described("connectionString")
        return connection_string

    @property
    def event_hubs_connection_string(self) -> str:
        """The connection string of the built-in endpoint of events, of the policy `iothubowner`.

        Clients of Event Hubs take it; `docs/local-hub.md` says what they need to know beside.
        """
        connection_string: str = self._described("eventHubsConnectionString")
        return connection_string

    def policy_connection_string(self, policy: str) -> str:
        """The service connection string of another policy: `service`, `device`, `registryRead`, `registryReadWrite`.

        Raises:
            ValueError: The hub has no such policy.
        """
        if policy not in _LESSER_POLICIES:
            raise ValueError(f"the hub has no policy {policy!r}: {', '.join(_LESSER_POLICIES)}")
        host, _, key = self.connection_string.split(";", 2)
        return f"{host};SharedAccessKeyName={policy};SharedAccessKey={derive_key(key.partition('=')[2], policy)}"

    @property
    def provisioning_host(self) -> str:
        """What devices give as the provisioning host, with the port unless it is a usual one."""
        provisioning_host: str = self._described("provisioningHost")
        return provisioning_host

    @property
    def id_scope(self) -> str:
        """What devices give as the id scope: the same for every local hub."""
        id_scope: str = self._described("idScope")
        return id_scope

    @property
    def ca_file(self) -> str:
        """The CA's certificate, a PEM file: for `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` and their like."""
        ca_file: str = self._described("caFile")
        return ca_file

    def device_connection_string(self, device_id: str) -> str:
        """The connection string of a device.

        Raises:
            LookupError: There is no such device.
        """
        answer, error = self._ask(call="connection_string", device=device_id)
        if error is not None:
            raise error
        return str(answer)

    def module_connection_string(self, device_id: str, module_id: str) -> str:
        """The connection string of a module.

        Raises:
            LookupError: There is no such module.
        """
        answer, error = self._ask(call="connection_string", device=device_id, module=module_id)
        if error is not None:
            raise error
        return str(answer)

    def add_ca_certificate(self, certificate: str | bytes) -> None:
        """Let certificates of a CA stand for devices that are registered with `certificateAuthority`.

        A device shows a certificate with its own name as the common name, a module one with `device/module`, signed by
        the CA or by one that it has signed. With `data` the hub keeps its CAs; without it they are gone when it ends.

        Args:
            certificate: The CA's certificate in PEM; several stand for several CAs.

        Raises:
            ValueError: There is no certificate in it, or one that is not a CA's.
        """
        text = certificate if isinstance(certificate, str) else certificate.decode()
        _, error = self._ask(call="add_ca_certificates", certificates=text)
        if error is not None:
            raise error

    # --- watching it ----------------------------------------------------------------------------------------------

    def wait_subscribed(self, device_id: str, module_id: str | None, topic: str, timeout: float = 30) -> None:
        """Wait until a device or module is connected and subscribed to a topic filter.

        Args:
            device_id: The device.
            module_id: Its module, or None for the device itself.
            topic: The filter as subscribed to, such as `$iothub/twin/PATCH/properties/desired/#`.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: It did not subscribe in time.
        """
        _, error = self._ask(
            call="wait_subscribed", device=device_id, module=module_id, topic=topic, timeout=min(timeout, A_LONG_TIME)
        )
        if error is not None:
            raise error

    def statistics(self) -> dict[str, int]:
        """What has happened since the hub started.

        `rest_requests`, `connects` (successful MQTT connects), `telemetry_messages` (received) and
        `desired_patches_published` (sent to devices and modules).
        """
        answer, error = self._ask(call="statistics")
        if error is not None:
            raise error
        return dict(answer)

    def telemetry(self) -> list[TelemetryMessage]:
        """The newest messages that devices and modules sent, oldest first: at most 10,000, and 16 MiB."""
        answer, error = self._ask(call="telemetry")
        if error is not None:
            raise error
        return [telemetry_message(message) for message in answer]

    def events(self, timeout: float | None = None) -> Iterator[TelemetryMessage]:
        """What devices and modules send, as it comes: an iterator over every message once.

        It begins with the oldest message that the hub still has, as `telemetry()` does, and waits for more at the end.

            for message in hub.events(timeout=5):
                print(message.device_id, message.body)

        Args:
            timeout: End when no message comes for so many seconds. None waits until the hub is stopped.

        Raises:
            RuntimeError: While iterating: more messages came than the hub keeps, and some were not read in time. The
                iteration can go on after them.
        """
        handle = self._running()

        def ask(**request: Any) -> tuple[Any, Exception | None]:
            answer, error = handle.ask(request)
            stopped = error is not None and self._handle is not handle
            return (None, None) if stopped else (answer, error)

        return Events(ask, A_LONG_TIME if timeout is None else min(timeout, A_LONG_TIME))

    # --- provisioning devices --------------------------------------------------------------------------------------

    @property
    def dps(self) -> Dps:
        """The provisioning service: who may register, and who has."""
        return Dps(self._ask)

    # --- spoiling it ----------------------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """What can go wrong on purpose: connections dropped or frozen, connects refused, acknowledgements lost, ..."""
        return Faults(self._ask)

    # --- standing for IoT Edge ------------------------------------------------------------------------------------

    def edge_workload(self, device_id: str, module_id: str, path: str | os.PathLike[str] | None = None) -> EdgeWorkload:
        """Be the IoT Edge runtime for a module: a workload API that signs with its key, and the gateway's host name.

        It serves `IoTHubModuleClient.create_from_edge_environment`; the hub itself is the gateway.

        Args:
            device_id: The device.
            module_id: The module on it, which has keys.
            path: Where to make a Unix socket, which must not exist yet. None serves HTTP on a port of this machine.

        Returns:
            A context manager that gives the variables of the module's environment.

        Raises:
            LookupError: There is no such module, or it has no keys.
            OSError: The socket can't be made.
        """
        opened, error = self._ask(
            call="open_workload",
            device=device_id,
            module=module_id,
            path=None if path is None else os.path.abspath(path),
        )
        if error is not None:
            raise error
        return EdgeWorkload(self._ask, opened)

    # --- inside ---------------------------------------------------------------------------------------------------
    # Errors are returned, and raised by the method the user called: the traceback shows no more of ours.

    def _start(self) -> Exception | None:
        if self._handle is not None:
            return RuntimeError("the hub is running")
        kind = handles.ProcessHandle if self._process else handles.ThreadHandle
        handle, error = handles.open_handle(kind, self._options)
        if handle is None:
            return error
        self._handle = handle
        self._description = handle.description
        # A hub that is started again is to be found where it was, and to know its old connection strings.
        chosen = self._options.key is not None or self._options.host_name is not None
        self._options = self._options._replace(port=self.port, key=self._owner_key() if chosen else None)
        try:
            for note in handle.description["notes"]:
                warnings.warn(note, RuntimeWarning, stacklevel=3)
        except RuntimeWarning as warning:  # Warnings are errors here.
            self.stop()
            return warning.with_traceback(None)
        return None

    def _owner_key(self) -> str:
        return self.connection_string.rpartition("SharedAccessKey=")[2]

    def _running(self) -> handles.Handle:
        if self._handle is None:
            raise RuntimeError("the hub is not running: use it in a `with` statement, or call start()")
        return self._handle

    def _described(self, name: str) -> Any:
        if self._description is None:
            raise RuntimeError("the hub has not been started: use it in a `with` statement, or call start()")
        return self._description[name]

    def _ask(self, **request: Any) -> tuple[Any, Exception | None]:
        if self._handle is None:
            return None, RuntimeError("the hub is not running: use it in a `with` statement, or call start()")
        return self._handle.ask(request)


async def _elsewhere(action: Any) -> Any:
    """Run this on another thread: the caller's event loop goes on."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, action)
