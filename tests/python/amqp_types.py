"""The types and performatives of AMQP 1.0 (parts 1 and 2) as far as clients of IoT Hub use them, read and written.

Written from the standard and not from any library, as it judges what one writes.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, NamedTuple


class Typed(NamedTuple):
    """A value that Python has no type of its own for."""

    type: str
    value: Any


class Described(NamedTuple):
    """A value with a descriptor."""

    descriptor: int
    value: Any


_FIXED: dict[int, Callable[[bytes], Any]] = {
    0x40: lambda _: None,
    0x41: lambda _: True,
    0x42: lambda _: False,
    0x43: lambda _: Typed("uint", 0),
    0x44: lambda _: Typed("ulong", 0),
    0x45: lambda _: [],
    0x50: lambda data: Typed("ubyte", data[0]),
    0x51: lambda data: Typed("byte", *struct.unpack("b", data)),
    0x52: lambda data: Typed("uint", data[0]),
    0x53: lambda data: Typed("ulong", data[0]),
    0x54: lambda data: Typed("int", *struct.unpack("b", data)),
    0x55: lambda data: Typed("long", *struct.unpack("b", data)),
    0x56: lambda data: bool(data[0]),
    0x60: lambda data: Typed("ushort", *struct.unpack(">H", data)),
    0x61: lambda data: Typed("short", *struct.unpack(">h", data)),
    0x70: lambda data: Typed("uint", *struct.unpack(">I", data)),
    0x71: lambda data: Typed("int", *struct.unpack(">i", data)),
    0x80: lambda data: Typed("ulong", *struct.unpack(">Q", data)),
    0x81: lambda data: Typed("long", *struct.unpack(">q", data)),
    0x82: lambda data: struct.unpack(">d", data)[0],
    0x83: lambda data: Typed("timestamp", *struct.unpack(">q", data)),
    0x98: lambda data: Typed("uuid", bytes(data)),
}
_WIDTHS = {4: 0, 5: 1, 6: 2, 7: 4, 8: 8, 9: 16}
_VARIABLE: dict[int, Callable[[bytes], Any]] = {
    0xA0: bytes,
    0xA1: lambda data: data.decode(),
    0xA3: lambda data: Typed("symbol", data.decode()),
}


def read(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The value that begins there, and where it ends."""
    code, at = data[at], at + 1
    if code == 0x00:
        descriptor, at = read(data, at)
        value, at = read(data, at)
        return Described(descriptor.value, value), at
    if code in _FIXED:
        end = at + _WIDTHS[code >> 4]
        return _FIXED[code](data[at:end]), end
    wide = bool(code & 0x10)
    size, at = _number(data, at, wide)
    end, kind = at + size, code & ~0x10
    if kind in _VARIABLE:
        return _VARIABLE[kind](data[at:end]), end
    count, at = _number(data, at, wide)
    items = []
    for _ in range(count):
        item, at = read(data, at)
        items.append(item)
    assert at == end, f"type {code:#x} has another size than its content"
    return dict(zip(items[::2], items[1::2])) if kind == 0xC1 else items, end


def _number(data: bytes, at: int, wide: bool) -> tuple[int, int]:
    return struct.unpack_from(">I" if wide else ">B", data, at)[0], at + (4 if wide else 1)


def sections(payload: bytes) -> list[Described]:
    """The sections of a message."""
    found, at = [], 0
    while at < len(payload):
        section, at = read(payload, at)
        found.append(section)
    return found


def write(value: Any) -> bytes:
    """A value in its plainest encoding."""
    if isinstance(value, Described):
        return b"\x00" + write(Typed("ulong", value.descriptor)) + write(value.value)
    if isinstance(value, Typed):
        return _TYPED[value.type](value.value)
    if value is None or isinstance(value, bool):
        return {None: b"\x40", True: b"\x41", False: b"\x42"}[value]
    if isinstance(value, bytes):
        return b"\xb0" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        return b"\xb1" + struct.pack(">I", len(value.encode())) + value.encode()
    code, items = (
        (0xD1, [each for pair in value.items() for each in pair]) if isinstance(value, dict) else (0xD0, value)
    )
    content = b"".join(map(write, items))
    return struct.pack(">BII", code, len(content) + 4, len(items)) + content


def _array_of_symbols(names: list[str]) -> bytes:
    content = b"".join(struct.pack(">I", len(name)) + name.encode() for name in names)
    return struct.pack(">BIIB", 0xF0, len(content) + 5, len(names), 0xB3) + content


_TYPED: dict[str, Callable[[Any], bytes]] = {
    "ubyte": lambda number: struct.pack(">BB", 0x50, number),
    "ushort": lambda number: struct.pack(">BH", 0x60, number),
    "uint": lambda number: struct.pack(">BI", 0x70, number),
    "ulong": lambda number: struct.pack(">BQ", 0x80, number),
    "int": lambda number: struct.pack(">Bi", 0x71, number),
    "symbol": lambda text: struct.pack(">BI", 0xB3, len(text)) + text.encode(),
    "symbols": _array_of_symbols,
}

# --- performatives ------------------------------------------------------------------------------------------------

_NODE = ("address", "durable", "expiry-policy", "timeout", "dynamic", "dynamic-node-properties")
_SOURCE = (*_NODE, "distribution-mode", "filter", "default-outcome", "outcomes", "capabilities")
FIELDS = {
    0x10: "open container-id hostname max-frame-size channel-max idle-time-out outgoing-locales incoming-locales"
    " offered-capabilities desired-capabilities properties",
    0x11: "begin remote-channel next-outgoing-id incoming-window outgoing-window handle-max offered-capabilities"
    " desired-capabilities properties",
    0x12: "attach name handle role snd-settle-mode rcv-settle-mode source target unsettled incomplete-unsettled"
    " initial-delivery-count max-message-size offered-capabilities desired-capabilities properties",
    0x13: "flow next-incoming-id incoming-window next-outgoing-id outgoing-window handle delivery-count link-credit"
    " available drain echo properties",
    0x14: "transfer handle delivery-id delivery-tag message-format settled more rcv-settle-mode state resume aborted"
    " batchable",
    0x15: "disposition role first last settled state batchable",
    0x16: "detach handle closed error",
    0x17: "end error",
    0x18: "close error",
    0x28: "source " + " ".join(_SOURCE),
    0x29: "target " + " ".join((*_NODE, "capabilities")),
    0x24: "accepted",
    0x41: "sasl-init mechanism initial-response hostname",
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "open": {"max-frame-size": Typed("uint", 2**32 - 1), "channel-max": Typed("ushort", 2**16 - 1)},
    "begin": {"handle-max": Typed("uint", 2**32 - 1)},
    "attach": {
        "snd-settle-mode": Typed("ubyte", 2),
        "rcv-settle-mode": Typed("ubyte", 0),
        "incomplete-unsettled": False,
        # Both mean that there is no limit.
        "max-message-size": Typed("ulong", 0),
    },
    "flow": {"drain": False, "echo": False},
    "transfer": {"more": False, "resume": False, "aborted": False, "batchable": False},
    "disposition": {"settled": False, "batchable": False},
    "source": {
        "durable": Typed("uint", 0),
        "expiry-policy": Typed("symbol", "session-end"),
        "timeout": Typed("uint", 0),
        "dynamic": False,
    },
}
_DEFAULTS["target"] = _DEFAULTS["source"]


def performative(value: Any) -> tuple[str, dict[str, Any]] | Any:
    """Its name, and its fields that are not null, with the defaults of the standard; within them likewise."""
    if not isinstance(value, Described) or value.descriptor not in FIELDS:
        return value
    name, *names = FIELDS[value.descriptor].split()
    given = dict(zip(names, map(performative, value.value)))
    fields = {**_DEFAULTS.get(name, {}), **{key: field for key, field in given.items() if field is not None}}
    if name == "disposition":
        fields.setdefault("last", fields["first"])
    return name, fields
