"""Names that a package shows and loads when they are first used: sub-modules, and what stands in other modules."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Callable


def submodules(package: str, *names: str, elsewhere: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """A `__getattr__` for this package: `import package` is enough to write `package.name`, and costs nothing.

    `names` are its sub-modules. `elsewhere` has, for other names, the module that each stands in.
    """
    found_in = {**{name: f"{package}.{name}" for name in names}, **(elsewhere or {})}

    def load(name: str) -> Any:
        if name not in found_in:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        __import__(found_in[name])
        module = sys.modules[found_in[name]]
        value = module if name in names else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return load
