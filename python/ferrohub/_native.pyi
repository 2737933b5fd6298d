"""The native core. Private: use `ferrohub` and `azure.iot`."""

from typing import Final, final

from ferrohub.device.options import ClientOptions

__all__ = [
    "CoreError",
    "DeviceClient",
    "Hub",
    "ServiceTransport",
    "__version__",
    "cli_main",
    "parse_connection_string",
]

__version__: Final[str]

class CoreError(Exception):
    """An error of the core; `args` is (kind, message, causes)."""

    args: tuple[str, str, list[str]]

def parse_connection_string(text: str) -> dict[str, str]:
    """The parts that are not empty; `CoreError` has the broken rule's name, and the part's number or key."""

@final
class DeviceClient:
    """A device's or module's connection. Times are in seconds, None waits without end."""

    def __new__(cls, options: ClientOptions) -> DeviceClient: ...
    @property
    def connected(self) -> bool: ...
    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def shutdown(self) -> None: ...
    def send_telemetry(
        self, message_properties: list[tuple[str, str]], payload: bytes, timeout: float | None
    ) -> None: ...
    def get_twin(self, timeout: float | None) -> bytes: ...
    def patch_reported_properties(self, patch: bytes, timeout: float | None) -> None: ...
    def enable_desired_patches(self, timeout: float | None) -> None: ...
    def next_desired_patch(self, timeout: float | None) -> bytes | None: ...

@final
class ServiceTransport:
    """The REST endpoint of one hub: a kept connection pool, a signature per request, retries."""

    def __new__(
        cls, host_name: str, platform: str, policy: str | None = None, key: str | None = None
    ) -> ServiceTransport: ...
    def request(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None = None,
        limit: float = 100.0,
    ) -> tuple[int, str, list[tuple[str, str]], bytes, str, int, bool]:
        """Send and wait; gives (status, reason, headers, body, url, attempts, given up). Raises CoreError."""

@final
@final
class Hub:
    """A running local hub; requests and answers are JSON texts."""

    def __new__(
        cls, port: int, standard_ports: bool, data: str | None, host_name: str | None, key: str | None
    ) -> Hub: ...
    def describe(self) -> str: ...
    def call(self, request: str) -> str: ...
    def stop(self) -> None: ...

def cli_main(arguments: list[str]) -> int: ...
