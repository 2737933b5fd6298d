"""Every public name of the official packages is here, of the same kind and with the same parameters."""

from __future__ import annotations

from typing import Any

import pytest
from official_api import PACKAGES, difference, rows

ROWS = dict(rows(*PACKAGES))


@pytest.mark.parametrize("dotted", ROWS)
def test_a_name_is_as_the_official_package_has_it(dotted: str) -> None:
    assert difference(dotted, ROWS[dotted]) is None


@pytest.mark.parametrize(
    ("dotted", "change"),
    [
        ("azure.iot.device.Message.get_size", {"parameters": [{"kind": "POSITIONAL_OR_KEYWORD", "name": "unit"}]}),
        ("azure.iot.device.Message.get_size", {"async": True}),
        ("azure.iot.device.Message.get_size", {"is": "classmethod"}),
        ("azure.iot.device.Message.get_size", {"is": "property", "settable": False}),
        ("azure.iot.device.Message.iothub_interface_id", {"settable": True}),
        ("azure.iot.device.constant.VERSION", {"value": "'0'"}),
        ("azure.iot.device.exceptions.ServiceError", {"bases": ["ClientError"]}),
        ("azure.iot.device.X509", {"init": []}),
        ("azure.iot.device.aio.IoTHubDeviceClient.connect", {"async": False}),
        ("azure.iot.device.IoTHubDeviceClient.receive_message", {"parameters": []}),
    ],
)
def test_a_difference_is_seen(dotted: str, change: dict[str, Any]) -> None:
    wanted = {**ROWS[dotted], **change}
    found = difference(dotted, wanted)
    # More optional parameters than the official ones are welcome.
    assert (found is None) == (dotted.endswith("receive_message"))
