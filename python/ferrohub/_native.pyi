"""The native core. Private: use `ferrohub` and `azure.iot`."""

class CoreError(Exception):
    """An error of the core; `args` is (kind, message, causes)."""

    args: tuple[str, str, list[str]]

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
    ) -> tuple[int, str, list[tuple[str, str]], bytes, str, int]:
        """Send and wait; gives (status, reason, headers, body, url, attempts). Raises CoreError."""
