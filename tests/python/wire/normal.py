"""A recording without what differs from run to run: request ids, tokens, keys of WebSockets, versions."""

from __future__ import annotations

import base64
import re
import time
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from wire.packets import Packet
from wire.stage import signature

USER_AGENTS = re.compile(
    r"azure-iot-device-(?:iothub|provisioning)-py/2\.14\.0\(3[0-9.]+;Linux #.*;\w+\)"
    r"|ferrohub/\d+\.\d+\.\d+ \(python 3[0-9.]+; linux\)"
)


def normal(packets: list[Packet]) -> list[Packet]:
    """The same packets, such that two runs give the same."""
    return [{field: _value(field, value) for field, value in packet.items()} for packet in packets]


def _value(field: str, value: Any) -> Any:
    if value is None:
        return value
    if field == "user_name":
        return _user_name(value)
    if field == "password":
        return _password(value)
    if field == "topic":
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", value)
    return value


def _user_name(text: str) -> str:
    """With a word for the user agent and the versions in it."""
    start, name, rest = re.split("(DeviceClientType=|ClientVersion=)", text, maxsplit=1)
    agent, more, end = rest.partition("&")
    without_versions = USER_AGENTS.sub("USER-AGENT", unquote(agent))
    assert quote(unquote(agent), safe="") == agent, "it is not encoded as it should be"
    return start + name + quote(without_versions, safe="") + more + end


def _password(text: str) -> str:
    """A token; its signature is checked, its expiry told in minutes from now."""
    parts = re.fullmatch(r"SharedAccessSignature sr=(.*)&sig=(.*)&se=(\d+)", text)
    assert parts, "it is no token"
    resource, signed, expiry = parts.groups()
    right = "right" if signed == signature(resource, expiry) else "wrong"
    minutes = round((int(expiry) - time.time()) / 60)
    return f"SharedAccessSignature sr={resource}&sig=<{right}>&se=<in {minutes} minutes>"


def normal_request(lines: list[str]) -> list[str]:
    """The request for a WebSocket: to HTTP the order of headers and the case of their names are the same."""
    headers = dict(line.split(": ", 1) for line in lines[1:])
    named = {name.lower(): value for name, value in headers.items()}
    assert len(base64.b64decode(named["sec-websocket-key"])) == 16
    named["sec-websocket-key"] = "<key>"
    return [lines[0], *sorted(f"{name}: {value}" for name, value in named.items())]


# What each HTTP library says for itself.
_OF_THE_LIBRARY = {"accept-encoding", "connection"}


def normal_question(lines: list[str]) -> list[str]:
    """A question over HTTPS: without what the HTTP library says for itself, and with words for agent and token."""
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-1])}
    agent = headers["user-agent"]
    assert quote_plus(unquote_plus(agent)) == agent, "it is not encoded as it should be"
    headers["user-agent"] = USER_AGENTS.sub("USER-AGENT", unquote_plus(agent))
    if "authorization" in headers:
        headers["authorization"] = _password(headers["authorization"])
    kept = [f"{name}: {value}" for name, value in headers.items() if name not in _OF_THE_LIBRARY]
    return [lines[0], *sorted(kept), lines[-1]]
