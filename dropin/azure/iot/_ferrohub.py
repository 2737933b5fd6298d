"""Looked at once per process by `azure.iot.hub` and `azure.iot.device`: is ferrohub there, are Microsoft's too?

Imported for its effect by both. It looks for files, not for distributions: asking importlib.metadata would cost more
than the rest of the import.
"""

from __future__ import annotations

import os
import sys

try:
    import ferrohub
except ModuleNotFoundError as error:
    if error.name != "ferrohub":
        raise
    raise ImportError(
        "azure.iot.hub and azure.iot.device come from ferrohub-azure here, and ferrohub itself is not installed. "
        'Run `python -m pip install "ferrohub[azure]"`, or `python -m pip uninstall ferrohub-azure` to do without it.'
    ) from error


def _official_beside() -> dict[str, str]:
    """Microsoft's distributions on the path of `azure.iot`, and the folder of each."""
    ours = os.path.dirname(__file__)
    return {
        f"azure-iot-{name}": os.path.dirname(os.path.dirname(folder))
        for folder in sys.modules["azure.iot"].__path__
        if folder != ours
        for name in ("device", "hub")
        if os.path.exists(os.path.join(folder, name, "__init__.py"))
    }


def _warn(official: dict[str, str]) -> None:
    import warnings

    names = sorted(official)
    warnings.warn(
        f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} installed beside FerroHub, in "
        f"{' and '.join(sorted(set(official.values())))}; azure.iot.hub and azure.iot.device are FerroHub's. Keep one: "
        f"`python -m pip uninstall {' '.join(names)}`, or `python -m pip uninstall ferrohub-azure`.",
        RuntimeWarning,
        stacklevel=4,
    )


if _found := _official_beside():
    _warn(_found)
