"""Azure IoT Hub for Python on a Rust core, with a local hub.

- `ferrohub.LocalHub`: a hub on this machine, for tests and for work without an Azure account.
- `ferrohub.Outbox`: keeps a client's telemetry on disk until the hub has it; `OutboxError`, `OutboxFullError`.
- `ferrohub.device` and `ferrohub.service`: what `azure.iot.device` and `azure.iot.hub` are made of. Programs import
  those names, from the distribution `ferrohub-azure`.
"""

from __future__ import annotations

from ferrohub._native import __version__

TYPE_CHECKING = False  # known to type checkers, and importing typing would cost as much as all the rest
if TYPE_CHECKING:
    from ferrohub.local_hub import LocalHub
    from ferrohub.outbox import Outbox, OutboxError, OutboxFullError

__all__ = ["LocalHub", "Outbox", "OutboxError", "OutboxFullError", "__version__"]


def __getattr__(name: str) -> object:
    # Loaded when first used: a program that only talks to Azure has no need of a hub, and few have an outbox.
    if name == "LocalHub":
        from ferrohub.local_hub import LocalHub

        return LocalHub
    if name in ("Outbox", "OutboxError", "OutboxFullError"):
        from ferrohub import outbox

        return getattr(outbox, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
