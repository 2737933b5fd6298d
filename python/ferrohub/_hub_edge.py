"""`LocalHub.edge_workload`: what a module on an IoT Edge device finds there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Ask = Callable[..., "tuple[Any, Exception | None]"]


class EdgeWorkload:
    """The workload API of a module, until it is closed, at the latest at the end of a `with` statement.

    `with` gives the variables of the environment in which the module's program runs on an Edge device:

        with hub.edge_workload("edge", "filter") as environment:
            subprocess.run([sys.executable, "filter.py"], env={**os.environ, **environment})
    """

    def __init__(self, ask: Ask, opened: dict[str, Any]) -> None:
        self._ask = ask
        self._number = opened["number"]
        self._environment: dict[str, str] = opened["environment"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables, by name; `IOTEDGE_WORKLOADURI` is the API's address."""
        return dict(self._environment)

    def close(self) -> None:
        """Close it; a socket is removed. Again, it does nothing."""
        if (error := self._ask(call="close_workload", number=self._number)[1]) is not None:
            raise error

    def __enter__(self) -> dict[str, str]:
        return self.environment

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A hub that was stopped meanwhile has none; and if the block failed, that is the error to show.
        self._ask(call="close_workload", number=self._number)
