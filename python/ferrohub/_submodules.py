"""Sub-modules that a package shows as attributes and loads when they are first used."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


def submodules(package: str, *names: str) -> Callable[[str], Any]:
    """A `__getattr__` for this package: `import package` is enough to write `package.name`, and costs nothing."""

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = f"{package}.{name}"
        __import__(module)
        return sys.modules[module]

    return load
