"""The proxy that a client connects through."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    ProxyType = Union[str, int]

# The numbers are those of the PySocks package, which programs pass instead of the names.
_NUMBERS = {"HTTP": 3, "SOCKS4": 1, "SOCKS5": 2}


class ProxyOptions:
    """A proxy: its kind, where it is, and who may use it. Nothing of it can be changed.

    `proxy_type` is "HTTP", "SOCKS4" or "SOCKS5", or the constant of PySocks. Raises ValueError for another type and
    for a port that is no number.
    """

    def __init__(
        self,
        proxy_type: ProxyType,
        proxy_addr: str,
        proxy_port: int | str,
        proxy_username: str | None = None,
        proxy_password: str | None = None,
    ) -> None:
        names = [name for name, number in _NUMBERS.items() if proxy_type in (name, number)]
        if not names:
            raise ValueError("Invalid Proxy Type")
        self._proxy_type = names[0]
        self._proxy_addr = proxy_addr
        self._proxy_port = int(proxy_port)
        self._proxy_username = proxy_username
        self._proxy_password = proxy_password

    @property
    def proxy_type(self) -> str:
        """`HTTP`, `SOCKS4` or `SOCKS5`."""
        return self._proxy_type

    @property
    def proxy_type_socks(self) -> int:
        """The same as the constant of PySocks."""
        return _NUMBERS[self._proxy_type]

    @property
    def proxy_address(self) -> str:
        """Host name or address."""
        return self._proxy_addr

    @property
    def proxy_port(self) -> int:
        """The port."""
        return self._proxy_port

    @property
    def proxy_username(self) -> str | None:
        """Who uses the proxy, if it asks."""
        return self._proxy_username

    @property
    def proxy_password(self) -> str | None:
        """The user's password."""
        return self._proxy_password
