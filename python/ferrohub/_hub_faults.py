"""`LocalHub.faults`: what goes wrong between devices and hubs in the real world, at the moment a test wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    Ask = Callable[..., "tuple[Any, Exception | None]"]


class Faults:
    """The faults of a hub.

    Each concerns one identity, named by `device_id` and `module_id` (a device does not stand for its modules), or every
    one if none is named. Some happen at once; the others stay on until they are cleared, and are context managers:

        with hub.faults.withhold_pubacks("sensor"):
            client.send_message("arrives, but the client is not told")

    Of two that contradict each other, the newer one counts. A hub that is started again has none.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    # --- at once --------------------------------------------------------------------------------------------------

    def drop(self, device_id: str | None = None, module_id: str | None = None) -> None:
        """End the connections; devices may connect again at once."""
        if (error := self._tell("drop_connections", device_id, module_id)) is not None:
            raise error

    def lose_session(self, device_id: str | None = None, module_id: str | None = None) -> None:
        """End the connections and forget the subscriptions: the next CONNACK says that there is no session."""
        if (error := self._tell("lose_sessions", device_id, module_id)) is not None:
            raise error

    def move_clock(self, seconds: float) -> None:
        """Move the hub's clock, back if negative: tokens and messages expire by it."""
        if (error := self._ask(call="move_clock", seconds=seconds)[1]) is not None:
            raise error

    def clear(self) -> None:
        """Switch off every fault that is on. The clock stays where it is."""
        if (error := self._ask(call="clear_faults")[1]) is not None:
            raise error

    # --- until cleared --------------------------------------------------------------------------------------------

    def freeze(self, device_id: str | None = None, module_id: str | None = None) -> Fault:
        """Read and write nothing more; connections stay open, and new ones get no CONNACK: a cable is cut.

        Cleared, the hub goes on where it stopped.
        """
        return self._order({"kind": "freeze"}, device_id, module_id)

    def refuse_connects(self, device_id: str | None = None, module_id: str | None = None, *, code: int = 3) -> Fault:
        """Answer CONNECT with this return code: 1 to 5, of which 3 is "server unavailable" and 5 "not authorized"."""
        return self._order({"kind": "refuse_connects", "code": code}, device_id, module_id)

    def reject_tokens(self, device_id: str | None = None, module_id: str | None = None) -> Fault:
        """Take no token for good any more: connections end, CONNECT is answered with 5."""
        return self._order({"kind": "reject_tokens"}, device_id, module_id)

    def withhold_pubacks(self, device_id: str | None = None, module_id: str | None = None) -> Fault:
        """Receive what is sent, and never acknowledge it."""
        return self._order({"kind": "withhold_pubacks"}, device_id, module_id)

    def delay_pubacks(self, seconds: float, device_id: str | None = None, module_id: str | None = None) -> Fault:
        """Receive what is sent, and acknowledge it later, in order."""
        return self._order({"kind": "delay_pubacks", "seconds": seconds}, device_id, module_id)

    def duplicate_pubacks(self, device_id: str | None = None, module_id: str | None = None) -> Fault:
        """Receive what is sent, and acknowledge it twice."""
        return self._order({"kind": "duplicate_pubacks"}, device_id, module_id)

    def refuse_subscriptions(self, device_id: str | None = None, module_id: str | None = None) -> Fault:
        """Answer SUBSCRIBE with a failure for every filter."""
        return self._order({"kind": "refuse_subscriptions"}, device_id, module_id)

    def fail_registrations(
        self, registration_id: str | None = None, *, code: int = 400209, message: str = "Custom allocation failed."
    ) -> Fault:
        """Have registrations with the provisioning service fail, with this error code and reason."""
        return self._order_outcome(registration_id, outcome="failed", code=code, message=message)

    def throttle_registrations(self, registration_id: str | None = None, *, retry_after: int = 1) -> Fault:
        """Answer every request to the provisioning service with 429 and this pause in seconds."""
        return self._order_outcome(registration_id, outcome="throttled", retry_after=retry_after)

    def stall_registrations(self, registration_id: str | None = None, *, retry_after: int = 1) -> Fault:
        """Have the provisioning service be at work without end; devices ask again after the pause, in seconds."""
        return self._order_outcome(registration_id, outcome="assigning", retry_after=retry_after)

    def ignore_registrations(self, registration_id: str | None = None) -> Fault:
        """Give requests to the provisioning service no answer."""
        return self._order_outcome(registration_id, outcome="unanswered")

    # --- inside ---------------------------------------------------------------------------------------------------

    def _tell(self, call: str, device_id: str | None, module_id: str | None) -> Exception | None:
        return _check(device_id, module_id) or self._ask(call=call, device=device_id or "", module=module_id)[1]

    def _order_outcome(self, registration_id: str | None, **outcome: Any) -> Fault:
        return self._order({"kind": "registrations", **outcome}, registration_id, None)

    def _order(self, fault: dict[str, Any], device_id: str | None, module_id: str | None) -> Fault:
        if (error := _check(device_id, module_id)) is not None:
            raise error
        number, error = self._ask(call="order_fault", fault=fault, device=device_id or "", module=module_id)
        if error is not None:
            raise error
        return Fault(self._ask, number)


class Fault:
    """A fault that is on until it is cleared, at the latest at the end of a `with` statement."""

    def __init__(self, ask: Ask, number: int) -> None:
        self._ask = ask
        self._number = number

    def clear(self) -> None:
        """Switch it off. Again, it does nothing."""
        if (error := self._ask(call="clear_faults", number=self._number)[1]) is not None:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A hub that was stopped meanwhile has no faults; and if the block failed, that is the error to show.
        self._ask(call="clear_faults", number=self._number)


def _check(device_id: str | None, module_id: str | None) -> Exception | None:
    """An empty name must not mean everyone."""
    if device_id == "" or (device_id is None and module_id is not None):
        return ValueError("name the device, or nobody for a fault of all")
    return None
