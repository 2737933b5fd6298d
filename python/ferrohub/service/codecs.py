"""How each type of a model attribute is read from the hub's JSON and written to it.

A type is named as the official models name it: `str`, `int`, `long`, `bool`, `iso-8601`, `object` (any JSON
value), the name of a model, `[x]` for a list and `{x}` for a dict of x. `codec_for` makes a `Codec` of such a
name. Values are coerced as programs are used to: a `str` attribute takes any value, an `int` takes `"30"`.
Used by the model classes only; no I/O.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    # From (attribute, its description, value) to the name and value that are written.
    KeyTransformer = Callable[[str, dict[str, str], Any], tuple[Any, Any]]
    # From the JSON object of a model to that model.
    Decode = Callable[[Any, bool], Any]
    Encode = Callable[[Any, Optional[KeyTransformer]], Any]

_DATETIME = r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?"
_PLAIN_TYPES = frozenset((str, int, float, bool))


class Codec:
    """One type: its name, how it is read (`decode`) and how it is written (`encode`).

    `decode(value, lenient)` takes a value from JSON, never None; `lenient` lets models match keys that a
    user wrote. `encode(value, transform)` gives what `json.dumps` takes; `transform` renames the keys of
    models, None means the JSON names. Values of the type `plain` are read as they are.
    """

    __slots__ = ("decode", "encode", "name", "plain")

    def __init__(self, name: str, decode: Decode, encode: Encode, plain: type | None = None) -> None:
        self.name = name
        self.decode = decode
        self.encode = encode
        self.plain = plain


def codec_for(name: str, models: dict[str, Any]) -> Codec:
    """The codec of a type's name; models it mentions are looked up in `models`."""
    if name.startswith("{"):
        return _dict_of(name, codec_for(name[1:-1], models))
    if name.startswith("["):
        return _list_of(name, codec_for(name[1:-1], models))
    if name in _SCALARS:
        return _SCALARS[name]
    return _model(name, models[name])


# --- scalars -----------------------------------------------------------------------------------------------


def _encode_str(value: Any, _transform: Any) -> str:
    if type(value) is str:
        return value
    import enum

    return str(value.value if isinstance(value, enum.Enum) else value)


def _decode_bool(value: Any, _lenient: bool) -> bool:
    if value in (True, False):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "1"):
        return True
    if isinstance(value, str) and value.lower() in ("false", "0"):
        return False
    raise TypeError(f"Invalid boolean value: {value}")


@lru_cache(maxsize=1024)  # many are "never", or the same for a whole fleet
def decode_datetime(text: str) -> datetime:
    """Read an RFC 3339 time.

    `Z` and offsets make it aware, without them it is naive; decimals beyond microseconds are cut.
    """
    import re  # slow to import, and needed from here on only

    match = re.fullmatch(_DATETIME, text)
    if match is None:
        raise ValueError(f"Invalid datetime string: {text}")
    year, month, day, hour, minute, second, fraction, zulu, sign, hours, minutes = match.groups()
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
    zone: timezone | None = None
    if zulu:
        zone = timezone.utc
    elif sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
    return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, tzinfo=zone)


def encode_datetime(value: Any) -> str:
    """Write a time as UTC with three to six decimals; a str is read first, a naive time counts as UTC."""
    if isinstance(value, str):
        value = decode_datetime(value)
    if not isinstance(value, datetime):
        raise TypeError(f"ISO-8601 object must be valid Datetime object., not {type(value).__name__}")
    if value.tzinfo is None:
        import logging

        logging.getLogger("msrest.serialization").warning("Datetime with no tzinfo will be considered UTC.")
    else:
        value = value.astimezone(timezone.utc)
    fraction = f"{value.microsecond:06}"
    fraction = fraction[:3] + fraction[3:].rstrip("0")
    return (
        f"{value.year:04}-{value.month:02}-{value.day:02}T{value.hour:02}:{value.minute:02}:{value.second:02}"
        f".{fraction}Z"
    )


def _encode_duration(value: timedelta) -> str:
    """An ISO 8601 duration such as `P1DT5S`."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    hours, seconds = divmod(value.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = ((hours, "H", ""), (minutes, "M", ""), (seconds, "S", fraction))
    clock = "".join(f"{number}{more}{unit}" for number, unit, more in parts if number or more)
    days = f"{value.days}D" if value.days or not clock else ""
    return f"{sign}P{days}" + (f"T{clock}" if clock else "")


def encode_any(value: Any, _transform: Any = None) -> Any:
    """Any JSON value; subclasses of JSON's types are written as their text, as the official package does."""
    kind = type(value)
    if value is None or kind in _PLAIN_TYPES:
        return value
    if kind is dict:
        return {str(key): encode_any(member) for key, member in value.items()}
    if kind is list:
        return [encode_any(member) for member in value]
    return value.serialize() if hasattr(kind, "_attribute_map") else _encode_other(value)


def _encode_other(value: Any) -> str | float:
    """What JSON has no type for."""
    if isinstance(value, datetime):
        return encode_datetime(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _encode_duration(value)
    import decimal

    return float(value) if isinstance(value, decimal.Decimal) else str(value)


_SCALARS = {
    codec.name: codec
    for codec in (
        Codec("str", lambda value, _lenient: str(value), _encode_str, str),
        Codec("int", lambda value, _lenient: int(value), lambda value, _transform: int(value), int),
        Codec("long", lambda value, _lenient: int(value), lambda value, _transform: int(value), int),
        Codec("bool", _decode_bool, lambda value, _transform: bool(value), bool),
        Codec(
            "iso-8601",
            lambda value, _lenient: value if isinstance(value, datetime) else decode_datetime(value),
            lambda value, _transform: encode_datetime(value),
        ),
        Codec("object", lambda value, _lenient: value, encode_any),
    )
}


# --- containers and models ---------------------------------------------------------------------------------


def _list_of(name: str, member: Codec) -> Codec:
    decode_member, encode_member = member.decode, member.encode

    def decode(value: Any, lenient: bool) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"Cannot deserialize as {name} an object of type {type(value)}")
        return [None if item is None else decode_member(item, lenient) for item in value]

    def encode(value: Any, transform: KeyTransformer | None) -> list[Any]:
        if isinstance(value, str):
            raise TypeError("Refuse str type as a valid iter type.")
        return [None if item is None else encode_member(item, transform) for item in value]

    return Codec(name, decode, encode)


def _dict_of(name: str, member: Codec) -> Codec:
    decode_member, encode_member = member.decode, member.encode
    plain = dict if member.name == "object" else None

    def decode(value: Any, lenient: bool) -> dict[str, Any]:
        if isinstance(value, list):
            value = {item["key"]: item["value"] for item in value}
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, not {type(value).__name__}")
        if plain is not None:
            return value
        return {key: None if item is None else decode_member(item, lenient) for key, item in value.items()}

    def encode(value: Any, transform: KeyTransformer | None) -> dict[str, Any]:
        if not hasattr(value, "items"):
            raise TypeError(f"expected a dict, not {type(value).__name__}")
        return {str(key): None if item is None else encode_member(item, transform) for key, item in value.items()}

    return Codec(name, decode, encode, plain)


def _model(name: str, model: Any) -> Codec:
    def encode(value: Any, transform: KeyTransformer | None) -> Any:
        # Where a model is expected, programs also give a dict, or a model of another class.
        if not hasattr(type(value), "_attribute_map"):
            value = model.from_dict(value)
        return value._encode(transform)

    return Codec(name, model._decode, encode)
