"""`IoTHubHttpRuntimeManager`: feedback about messages that were sent to devices.

Its methods are declared in `ferrohub.service.calls`.
"""

from __future__ import annotations

from ferrohub.service.calls.feedback import FeedbackCalls
from ferrohub.service.manager import Manager, blocking


class IoTHubHttpRuntimeManager(Manager):
    """Feedback about messages that were sent to devices."""

    receive_feedback_notification = blocking(FeedbackCalls.receive_feedback_notification)
    complete_feedback_notification = blocking(FeedbackCalls.complete_feedback_notification)
    abandon_feedback_notification = blocking(FeedbackCalls.abandon_feedback_notification)
