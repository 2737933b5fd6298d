"""Calls about feedback: what became of messages that were sent to devices.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d#message-feedback
"""

from __future__ import annotations

from ferrohub.service import operations
from ferrohub.service.calls import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferrohub.service.calls import Call


class FeedbackCalls:
    """Take feedback from the hub's queue."""

    def receive_feedback_notification(self, *, timeout: float | None = None) -> Call[None]:
        """Lock the next batch of feedback. As officially, neither the batch nor its lock token is given back."""
        return ask(operations.RECEIVE_FEEDBACK, timeout=timeout)

    def complete_feedback_notification(self, lock_token: str, *, timeout: float | None = None) -> Call[None]:
        """Delete the batch that this token locks. 412 if the lock is lost."""
        return ask(operations.COMPLETE_FEEDBACK, (lock_token,), timeout=timeout)

    def abandon_feedback_notification(self, lock_token: str, *, timeout: float | None = None) -> Call[None]:
        """Put the batch that this token locks back into the queue. 412 if the lock is lost."""
        return ask(operations.ABANDON_FEEDBACK, (lock_token,), timeout=timeout)
