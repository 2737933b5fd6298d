"""Messages to devices and to inputs of modules, as `LocalHub` sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Messages:
    """What `LocalHub` has about messages."""

    def _ask(self, **request: Any) -> tuple[Any, Exception | None]:
        raise NotImplementedError

    def send_c2d_message(self, device_id: str, body: bytes | str, properties: Mapping[str, str] | None = None) -> None:
        """Queue a cloud-to-device message. A device that is subscribed gets it now, any other when it subscribes.

        It stays queued until the device acknowledges it, for an hour or as long as its property `$.exp` says.

        Args:
            device_id: The device.
            body: The message, 64 KiB with its properties; text is sent as UTF-8.
            properties: Application properties under their names, and system properties under theirs: `$.mid` (message
                id), `$.cid` (correlation id), `$.uid` (user id), `$.ct` (content type), `$.ce` (content encoding),
                `$.exp` (expiry, ISO 8601) and `iothub-ack`.

        Raises:
            LookupError: There is no such device.
            ValueError: The message is too large.
            OSError: 50 messages wait for the device already, or the expiry is not within two days from now.
        """
        if (error := self._send("send_to_device", body, properties, device=device_id)) is not None:
            raise error

    def send_input_message(
        self,
        device_id: str,
        module_id: str,
        input_name: str,
        body: bytes | str,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Queue a message to one of a module's inputs, as IoT Edge's router would.

        Args:
            device_id: The device.
            module_id: The module on it.
            input_name: The input.
            body: The message, 256 KiB with its properties; text is sent as UTF-8.
            properties: As in `send_c2d_message`.

        Raises:
            LookupError: There is no such module.
            ValueError: The message is too large, or the input's name can't be one.
            OSError: 1000 messages wait for the module already, or the expiry is not within two days from now.
        """
        receiver = {"device": device_id, "module": module_id, "input": input_name}
        if (error := self._send("send_to_input", body, properties, **receiver)) is not None:
            raise error

    def _send(
        self, call: str, body: bytes | str, properties: Mapping[str, str] | None, **receiver: str
    ) -> Exception | None:
        from base64 import b64encode

        encoded = b64encode(body.encode() if isinstance(body, str) else body).decode()
        message = {"properties": list((properties or {}).items()), "body": encoded}
        return self._ask(call=call, message=message, **receiver)[1]
