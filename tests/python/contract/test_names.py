"""Every public name of the official packages is here, of the same kind and with the same parameters."""

from __future__ import annotations

from typing import Any

import pytest
from official_api import NOT_BUILT, NOTHING, PACKAGES, difference, find, rows

ROWS = dict(rows(*PACKAGES))


def is_waited_for(dotted: str) -> bool:
    return any(dotted == name or dotted.startswith(f"{name}.") for name in NOT_BUILT)


@pytest.mark.parametrize("dotted", [dotted for dotted in ROWS if not is_waited_for(dotted)])
def test_a_name_is_as_the_official_package_has_it(dotted: str) -> None:
    assert difference(dotted, ROWS[dotted]) is None


@pytest.mark.parametrize("dotted", sorted(NOT_BUILT))
def test_what_is_said_to_be_missing_is_missing(dotted: str) -> None:
    assert dotted in ROWS, "no such name in the official package"
    assert find(dotted) is NOTHING, "it has been built: take it from the list in official_api.py"


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
