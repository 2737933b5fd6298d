"""Connection strings: parsed by the core, with the exceptions programs know and a sentence on what to do.

No text ever repeats a part that is no known key: it may be a piece of a secret.
https://learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas
"""

from __future__ import annotations

from ferrohub._native import CoreError, parse_connection_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

SERVICE_FORM = "HostName=<hub>.azure-devices.net;SharedAccessKeyName=<policy>;SharedAccessKey=<key>"
DEVICE_FORM = "HostName=<hub>.azure-devices.net;DeviceId=<device>[;ModuleId=<module>];SharedAccessKey=<key>"


_SECRETS = ("SharedAccessKey", "SharedAccessSignature")


class ConnectionString:
    """A connection string whose parts are read by key: `ConnectionString(text)["HostName"]`.

    `str()` gives the whole text, with its key; `repr()` leaves the key out.
    """

    _parsed: Callable[[Any], dict[str, str]]
    """Given by each party: what it takes, and what it raises."""

    def __init__(self, connection_string: str) -> None:
        self._parts = self._parsed(connection_string)
        self._text = connection_string

    def __getitem__(self, key: str) -> str:
        return self._parts[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The part with this key, or the default."""
        return self._parts.get(key, default)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        shown = (f"{key}={'…' if key in _SECRETS else value}" for key, value in sorted(self._parts.items()))
        return f"{type(self).__name__}({';'.join(shown)})"


class WrongConnectionStringError(KeyError):
    """A connection string of the wrong party: a device's where a service's is needed, or the reverse."""

    def __str__(self) -> str:
        return str(self.args[0])


def parse(text: str, form: str, no_equals_sign: str) -> dict[str, str]:
    """The parts of a connection string of any kind that are not empty.

    `form` is what the caller needs, for the error's text; `no_equals_sign` begins the text for a part without
    '=', with `{part}` for its number from zero: the official packages differ there.
    Raises ValueError.
    """
    try:
        return parse_connection_string(text)
    except CoreError as error:
        rule, detail, _ = error.args
    if rule == "no_equals_sign":
        reason = no_equals_sign.format(part=detail) + ": " + _no_equals_sign(text, int(detail))
    else:
        reason = "Invalid Connection String - " + _REASONS[rule].format(detail=detail)
    raise ValueError(f"{reason}{'' if reason.endswith('?') else '.'} The form is {form}")


def parse_of_device(text: str) -> dict[str, str]:
    """The same for the clients of devices and modules. Raises TypeError too."""
    if not isinstance(text, str):
        raise TypeError("Connection String must be of type str")
    return parse(text, DEVICE_FORM, "Invalid Connection String - Unable to parse")


_REASONS = {
    "duplicate_key": "Unable to parse: a key stands twice",
    "unknown_key": "Invalid Key: part {detail} (from 0) does not begin with a known key",
    "misspelt_key": "Invalid Key: it must be written {detail}",
    "mixed_authentication": "Mixed authentication scheme",
    "incomplete": "Incomplete: a part is missing or empty",
}


def _no_equals_sign(text: str, part: int) -> str:
    if ";" not in text:
        return "this is no connection string; is the placeholder still there?"
    return f"part {part} (from 0) has no '='"
