"""A watch on the log: no line of any level holds a key or a token."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

SECRETS = re.compile(r"sig=|SharedAccessKey=|SharedAccessSignature sr|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=")
"""What keys and tokens look like; those of the local hub are 32 bytes in base64."""


class _Watch(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.guilty: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = logging.Formatter().format(record)
        if SECRETS.search(text):
            self.guilty.append(text)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Within it every line is written, and looked at."""
    logger, watch = logging.getLogger("azure.iot.device"), _Watch()
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(watch)
    try:
        yield
    finally:
        logger.removeHandler(watch)
        logger.setLevel(level)
    assert watch.guilty == []
