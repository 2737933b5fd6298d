"""Both packages with the local hub: what the scenarios of `interop/scenarios` come to is the same for ours and the
official one, synchronous and with asyncio, over TCP and WebSockets.

A new case is a coroutine function there and an assertion here.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

Outcomes = dict[str, Any]


def sent(body: str, module: str | None = None, **properties: str) -> dict[str, Any]:
    """Telemetry as the hub has it."""
    return {"module": module, "body": body, "properties": properties}


def test_telemetry_arrives_with_its_properties(told: Outcomes) -> None:
    system = {"$.mid": "m 1", "$.cid": "c", "$.ct": "application/json", "$.ce": "utf-8"}
    properties = {**system, "b key": "v 1/%&=", "a": "2"}
    assert told["telemetry"] == [sent("\u00e9", **properties), sent("text"), sent("1.5"), sent("")]


def test_a_module_sends_to_its_outputs(told: Outcomes) -> None:
    assert told["outputs"] == [sent("to an output", "module", **{"$.on": "out 1/x", "a": "b"})]


def test_messages_from_the_cloud_come_with_their_properties_and_are_acknowledged(told: Outcomes) -> None:
    message = {
        "data": "\u00e9",
        "custom_properties": {"k y": "v=1&2", "\u00e9": "\u00fc"},
        "content_type": "text/plain",
        "message_id": "m 1",
        "ack": "none",
    }
    assert told["cloud_to_device"] == {"received": [{"data": "before"}, message], "waiting": 0}


def test_messages_wait_for_a_client_that_is_away(told: Outcomes) -> None:
    assert told["cloud_to_device_while_away"] == ["0", "1", "2"]


def test_messages_come_on_a_modules_inputs(told: Outcomes) -> None:
    expected = {"data": "to the input", "input_name": "in 1", "custom_properties": {"a": "b"}}
    assert told["inputs"] == expected


def test_messages_are_received_by_calls(told: Outcomes) -> None:
    assert told["receive_calls"] == ["waits", "comes"]


def test_reported_properties_are_merged(told: Outcomes) -> None:
    reported = {"a": 1, "nested": {"list": [1, 2.5]}, "$version": 3}
    assert told["reported_properties"] == {"client": reported, "back end": reported}


def test_reported_properties_that_are_too_large_are_refused(told: Outcomes) -> None:
    assert told["reported_properties_that_are_refused"] == ["ClientError", "ServiceError"]


def test_patches_of_desired_properties_come_with_their_versions(told: Outcomes) -> None:
    assert told["desired_properties"] == {
        "patches": [
            {"value": {"a": 1}, "$version": 2},
            {"value": {"b": {"c": "\u00e9"}}, "$version": 3},
            {"value": None, "$version": 4},
        ],
        "twin": {"$version": 4},
    }


def test_what_was_desired_while_a_client_was_away_comes_when_it_is_back(told: Outcomes) -> None:
    assert told["desired_properties_changed_while_away"] == {"a": 1, "b": 2, "$version": 3}


def test_a_modules_twin_has_both_sides(told: Outcomes) -> None:
    assert told["module_twin"] == {"patch": {"a": 1, "$version": 2}, "seen": 1}


def test_methods_are_called_and_their_responses_come_back(told: Outcomes) -> None:
    assert told["methods"] == [
        [200, {"name": "part*get_max", "payload": {"a": [1, None]}}],
        [-3, None],
        [200, {"name": "get%20max", "payload": "\u00e9"}],
    ]


def test_a_device_with_a_model_has_a_digital_twin_that_back_ends_patch(told: Outcomes) -> None:
    known = {"desiredValue": 21.8, "desiredVersion": 2, "ackVersion": 2, "ackCode": 200, "ackDescription": "done"}
    assert told["digital_twin"] == {
        "patch": {"heater": {"__t": "c", "target": 21.8}, "$version": 2},
        "model": "dtmi:com:example:TemperatureController;1",
        "serial": "x",
        "heater": [25.3, 21.8, known],
    }


def test_commands_of_devices_and_their_components_are_called(told: Outcomes) -> None:
    assert told["commands"] == [
        {"name": "reboot", "payload": {"delay": 1.5}},
        {"name": "heater*report", "payload": "since"},
    ]


def test_a_configuration_reaches_a_connected_device_and_goes_with_its_target(told: Outcomes) -> None:
    assert told["configuration"] == {
        "applied": {"limits": {"low": 1}, "$version": 2},
        "counted": {"targetedCount": 1, "appliedCount": 1},
        "removed": {"limits": None, "$version": 3},
    }


def test_methods_of_a_module_are_called(told: Outcomes) -> None:
    assert told["methods_of_a_module"] == [200, {"name": "reboot", "payload": [1]}]


def test_they_use_the_standard_ports(told: Outcomes) -> None:
    assert told["standard_ports"] == "HostName=localhost"


def test_a_second_connection_takes_the_place_of_the_first(told: Outcomes) -> None:
    assert told["takeover"] == {"first": False, "telemetry": [sent("from the second")]}


def test_an_idle_client_keeps_its_connection(told: Outcomes) -> None:
    assert told["idle"] == {"changes": 1, "connected": True}


def test_a_dropped_client_is_back_with_its_subscriptions(told: Outcomes) -> None:
    assert told["dropped"] == {"received": "after the drop", "telemetry": [sent("after the drop")]}


def test_a_client_is_back_after_its_hub_is(told: Outcomes) -> None:
    assert told["hub_restarted"] == {"received": "from the new hub", "telemetry": [sent("to the new hub")]}


def test_a_given_token_is_replaced_by_another(told: Outcomes) -> None:
    assert told["given_token"] == {"connected": True, "telemetry": [sent("with the second token")]}


def test_a_token_that_expires_ends_the_connection_and_another_makes_it_again(told: Outcomes) -> None:
    assert told["token_that_expires"] == {"late": ["CredentialError", "UnauthorizedError"], "connected": True}


def test_tokens_of_a_key_are_renewed(told: Outcomes) -> None:
    assert told["token_that_is_renewed"] == {"changes": 3, "telemetry": [sent("with the new token")]}


@pytest.mark.parametrize("scenario", ["wrong_key", "unknown_device"])
def test_a_stranger_is_refused(told: Outcomes, scenario: str) -> None:
    assert told[scenario] == ["CredentialError", "UnauthorizedError"]


def test_a_device_that_is_disabled_loses_its_connection_and_gets_no_other(told: Outcomes) -> None:
    assert told["disabled_device"] == ["ConnectionFailedError", "ConnectionFailedError"]


def test_a_certificate_stands_for_the_identity_that_knows_its_thumbprint(told: Outcomes) -> None:
    assert told["certificates_with_thumbprints"] == [sent("by thumbprint"), sent("by thumbprint", "module")]


def test_a_ca_vouches_for_the_identity_that_its_certificates_name(told: Outcomes) -> None:
    expected = [sent("device"), sent("version 1"), sent("module", "module")]
    assert told["certificates_of_a_ca"] == expected


def test_any_other_certificate_is_refused(told: Outcomes) -> None:
    cases = ("keys", "other name", "other CA", "other CA, version 1", "other thumbprint")
    assert told["certificates_of_others"] == {case: ["CredentialError", "UnauthorizedError"] for case in cases}


@pytest.mark.parametrize("scenario", ["edge_over_http", "edge_over_a_socket"])
def test_a_module_lives_on_iot_edge(told: Outcomes, scenario: str) -> None:
    expected = {"telemetry": [sent("signed by the runtime", "module")], "desired": {"$version": 1}}
    assert told[scenario] == expected


def test_a_module_on_iot_edge_calls_methods(told: Outcomes) -> None:
    assert told["method_called_on_edge"] == {"status": 201, "payload": {"name": "reboot", "payload": [1]}}


def test_files_are_uploaded_without_a_connection(told: Outcomes) -> None:
    assert told["upload"] == {
        "answer": None,
        "keys": ["blobName", "containerName", "correlationId", "hostName", "sasToken"],
        "connected": False,
        "blobs": {"a b/\u00e9.txt": sha256(b"all is well").hexdigest()},
        "told": [[True, 201, "\u00e9", 11]],
    }


def test_an_upload_that_failed_is_told(told: Outcomes) -> None:
    assert told["upload_that_fails"] == {"blobs": {}, "told": [[False, 500, "the camera is broken", None]]}


def test_a_file_is_uploaded_with_azure_storage_blob(told: Outcomes) -> None:
    content = b"0123456789abcdef" * 65536
    assert told["upload_with_azure_storage_blob"] == {
        "blobs": {"large": sha256(content).hexdigest()},
        "told": [[True, 200, "", len(content)]],
    }


def test_every_scenario_is_looked_at(told: Outcomes) -> None:
    source = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in told if f'"{name}"' not in source] == []
