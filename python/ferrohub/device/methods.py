"""Direct methods: what the hub asks and what the device answers.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MethodRequest:
    """A call of a direct method. Nothing of it can be changed.

    - `request_id`: str; the answer names it
    - `name`: str, the method's
    - `payload`: what the caller sent, parsed from JSON; None if nothing
    """

    def __init__(self, request_id: str, name: str, payload: Any) -> None:
        self._request_id = request_id
        self._name = name
        self._payload = payload

    @property
    def request_id(self) -> str:
        """Which call this is."""
        return self._request_id

    @property
    def name(self) -> str:
        """The method that is called."""
        return self._name

    @property
    def payload(self) -> Any:
        """What the caller sent, parsed from JSON."""
        return self._payload


class MethodResponse:
    """The answer to a call. Attributes are plain and may be set at any time.

    - `request_id`: str, that of the `MethodRequest`
    - `status`: int; what it means is between device and caller, as in HTTP by habit
    - `payload`: anything `json.dumps` takes
    """

    def __init__(self, request_id: str, status: int, payload: Any = None) -> None:
        self.request_id = request_id
        self.status = status
        self.payload = payload

    @classmethod
    def create_from_method_request(
        cls, method_request: MethodRequest, status: int, payload: Any = None
    ) -> MethodResponse:
        """The answer to this request."""
        return cls(method_request.request_id, status, payload)
