"""The hub's answer to a request, with the attributes that programs know from the requests package.

Operations are read from it, and `HttpOperationError.response` holds it. It keeps no token and no key.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ferrohub.service.operation import Request


class Headers:
    """Response headers, looked up in any case; the first of several with one name counts.

    The core gives their names in lower case.
    """

    def __init__(self, items: list[tuple[str, str]]) -> None:
        self._items = items
        self._values = dict(reversed(items))

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._items))

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header, or the default."""
        return self._values.get(name.lower(), default)

    def keys(self) -> list[str]:
        """The names."""
        return list(self)

    def items(self) -> list[tuple[str, str]]:
        """Names and values."""
        return [(name, self[name]) for name in self]

    def values(self) -> list[str]:
        """The values."""
        return [self[name] for name in self]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._values == other._values
        if isinstance(other, dict):
            return self._values == {str(name).lower(): value for name, value in other.items()}
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self.items()))


class SentRequest:
    """What was asked: method, address and headers. Token and body are left out: both may hold keys."""

    def __init__(self, method: str, url: str, headers: dict[str, str]) -> None:
        self.method = method
        self.url = url
        self.headers = headers

    def __repr__(self) -> str:
        return f"<Request [{self.method}]>"


class Response:
    """An answer: `status_code`, `reason`, `headers`, `content`, `text`, `json()`, `url`, `ok`, `request`."""

    def __init__(
        self,
        request: Request,
        status_code: int,
        reason: str,
        headers: list[tuple[str, str]],
        content: bytes,
        url: str,
        attempts: int,
        given_up: bool,
        in_doubt: float | None = None,
    ) -> None:
        self.status_code = status_code
        self.reason = reason
        self.headers = Headers(headers)
        self.content = content
        self.url = url
        self.attempts = attempts
        self.given_up = given_up
        # Seconds since an attempt before this was sent that may have had its effect; None if there was none.
        self.in_doubt = in_doubt
        visible = {name: value for name, value in request.headers if name.lower() != "authorization"}
        self.request = SentRequest(request.method, url, visible)

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    @property
    def host(self) -> str:
        """The host of the address, with its port if it has one."""
        return self.url.partition("//")[2].partition("/")[0]

    @property
    def encoding(self) -> str:
        """How `text` is decoded: the charset of the Content-Type, else UTF-8."""
        _, _, after = str(self.headers.get("content-type", "")).lower().partition("charset=")
        return after.partition(";")[0].strip(" \"'") or "utf-8"

    @property
    def is_utf8(self) -> bool:
        """Whether the body is text in UTF-8."""
        return self.encoding in ("utf-8", "utf8")

    @property
    def text(self) -> str:
        """The body as text."""
        try:
            return self.content.decode(self.encoding, errors="replace")
        except LookupError:
            return self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body read as JSON; ValueError if it is none."""
        import json

        return json.loads(self.content if self.is_utf8 else self.text)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"
