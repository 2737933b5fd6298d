"""A WebSocket's bytes from a client, read: the request that opens it and the content of its frames (RFC 6455)."""

from __future__ import annotations

from typing import Optional

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


class FromClient:
    """A stream of a client that is fed piece by piece and gives what it carries."""

    def __init__(self) -> None:
        self._stream = b""
        self.upgrade: Optional[list[str]] = None
        """The lines of the request, once they are there."""

    def feed(self, piece: bytes) -> bytes:
        """The content that has become complete with this piece. Raises ValueError for frames that are not allowed."""
        self._stream += piece
        if self.upgrade is None:
            head, end, rest = self._stream.partition(b"\r\n\r\n")
            if not end:
                return b""
            self.upgrade, self._stream = head.decode("latin-1").split("\r\n"), rest
        content = b""
        while (frame := self._next_frame()) is not None:
            content += frame
        return content

    def _next_frame(self) -> Optional[bytes]:
        if len(self._stream) < 2:
            return None
        first, second = self._stream[0], self._stream[1]
        if not second & 0x80:
            raise ValueError(f"a frame of a client is not masked: {self._stream!r}")
        size = {126: 2, 127: 8}.get(second & 0x7F, 0)
        length = int.from_bytes(self._stream[2 : 2 + size], "big") if size else second & 0x7F
        start = 2 + size + 4
        if len(self._stream) < start + length:
            return None
        mask = self._stream[start - 4 : start]
        content = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self._stream[start : start + length]))
        self._stream = self._stream[start + length :]
        if first & 0x0F in {CLOSE, PING, PONG}:
            return b""
        if first != 0x80 | BINARY:
            raise ValueError(f"a frame that is not binary and whole: {first:#04x}")
        return content
