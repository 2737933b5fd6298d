"""The public API of the official packages (tests/golden/api.json), and what of it is still to be built.

A row of the file is a module, a class or a member: what it `is`, its parameters with kinds and defaults, for a property
whether it can be set, for a constant its value.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTHING = object()

PACKAGES = ("azure.iot.device", "azure.iot.hub")

# Clients are made by their factories; what their constructors take is their own affair.
MADE_BY_FACTORIES = {"IoTHubDeviceClient", "IoTHubModuleClient", "ProvisioningDeviceClient"}
# Modules that a package shows because it imports them.
SHOWN_BY_CHANCE = {"is": "module"}


def rows(*packages: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted name and row of everything public in these packages: in their modules, and members of classes."""
    golden = Path(__file__).parent.parent / "golden" / "api.json"
    for module, names in json.loads(golden.read_text("utf-8")).items():
        if module.startswith(packages):
            for name, row in names.items():
                if row != SHOWN_BY_CHANCE:
                    yield f"{module}.{name}", row
                    for member, member_row in row.get("members", {}).items():
                        yield f"{module}.{name}.{member}", member_row


def find(dotted: str) -> Any:
    """What stands under a dotted name, members of classes as they are declared; `NOTHING` if nothing does."""
    module_name, names = dotted, list[str]()
    while True:
        try:
            value: Any = importlib.import_module(module_name)
            break
        except ModuleNotFoundError:
            module_name, _, name = module_name.rpartition(".")
            names.insert(0, name)
    for name in names:
        look = inspect.getattr_static if isinstance(value, type) else getattr
        value = look(value, name, NOTHING)
        if value is NOTHING:
            break
    return value


def difference(dotted: str, row: dict[str, Any]) -> str | None:
    """How what stands under a name differs from its row, or None. What is new and optional is no difference."""
    value = find(dotted)
    if value is NOTHING:
        return "missing"
    kind = row["is"]
    if kind == "property":
        if not isinstance(value, property):
            return "no property"
        return "can not be set" if row["settable"] and value.fset is None else None
    if kind == "constant":
        return None if repr(value) == row["value"] else f"{value!r} instead of {row['value']}"
    if kind in ("class", "exception"):
        return _class_difference(value, row)
    if isinstance(value, classmethod) != (kind == "classmethod"):
        return f"a {type(value).__name__} instead of a {kind}"
    function = value.__func__ if isinstance(value, classmethod) else value
    if inspect.iscoroutinefunction(function) != row["async"]:
        return "a coroutine function" if not row["async"] else "no coroutine function"
    return _signature_difference(function, row["parameters"])


def _class_difference(value: Any, row: dict[str, Any]) -> str | None:
    if not isinstance(value, type):
        return "no class"
    if row["is"] == "exception":
        lacking = set(row["bases"]) - {base.__name__ for base in value.__mro__}
        return f"not a {', '.join(lacking)}" if lacking else None
    return None if value.__name__ in MADE_BY_FACTORIES else _signature_difference(value, row["init"])


def _signature_difference(function: Any, wanted: list[dict[str, Any]]) -> str | None:
    found = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    described = [_describe(parameter) for parameter in found]
    expected = [row for row in wanted if row["name"] not in ("self", "cls")]
    named = [row for row in expected if row["kind"] != "VAR_KEYWORD"]
    if described[: len(named)] != named:
        return f"takes {described} instead of {named}"
    if len(named) < len(expected) and inspect.Parameter.VAR_KEYWORD not in [parameter.kind for parameter in found]:
        return "takes no keyword arguments"
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    required = [
        parameter.name
        for parameter in found[len(named) :]
        if parameter.default is parameter.empty and parameter.kind not in optional
    ]
    return f"asks for {required}" if required else None


def _describe(parameter: inspect.Parameter) -> dict[str, Any]:
    described = {"kind": parameter.kind.name, "name": parameter.name}
    default = parameter.default
    if default is not parameter.empty:
        plain = default is None or isinstance(default, (bool, int, float, str))
        described["default"] = repr(default) if plain else f"<{type(default).__name__}>"
    return described
