"""What comes of a registration in the official words: the fields of its result, and the sentences of its errors."""

from __future__ import annotations

import json

import pytest
from azure.iot.device import exceptions
from ferrohub._native import CoreError
from ferrohub.device._errors import public_error
from ferrohub.provisioning.abstract_client import registered
from ferrohub.provisioning.clients import _SENTENCES

SENTENCES = {
    "connection_dropped": ("ConnectionDroppedError", "Lost connection to the provisioning server"),
    "connection_failed": ("ConnectionFailedError", "Could not connect to the provisioning server"),
    "unauthorized": ("CredentialError", "Credentials invalid, could not connect"),
    "protocol": ("ClientError", "Error in the provisioning client"),
    "timeout": ("OperationTimeout", "Could not complete operation before timeout"),
    "tls": ("ClientError", "Unexpected failure"),
    "proxy": ("ClientError", "Unexpected failure"),
    "service 401": ("ClientError", "Unexpected failure"),
    "no_answer": ("ClientError", "Unexpected failure"),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_each_failure_of_the_synchronous_client_has_its_official_class_and_sentence(kind: str) -> None:
    name, sentence = SENTENCES[kind]
    error = public_error(CoreError(kind, "what happened", []), _SENTENCES)
    assert isinstance(error, getattr(exceptions, name))
    assert str(error) == f"{sentence}: what happened"


def test_each_field_of_the_services_answer_has_its_place_in_the_result() -> None:
    state = {
        "registrationId": "reg1",
        "deviceId": "sensor",
        "assignedHub": "hub.example",
        "substatus": "initialAssignment",
        "createdDateTimeUtc": "2026-01-02T03:04:05.6Z",
        "lastUpdatedDateTimeUtc": "2026-02-03T04:05:06.7Z",
        "etag": "an etag",
        "payload": {"a": 1},
    }
    answer = {"operationId": "4.op", "status": "assigned", "registrationState": state}
    result = registered(json.dumps(answer).encode())
    told = result.registration_state
    assert (result.operation_id, result.status) == ("4.op", "assigned")
    assert told is not None
    assert (told.device_id, told.assigned_hub, told.sub_status) == ("sensor", "hub.example", "initialAssignment")
    assert (told.created_date_time, told.last_update_date_time) == ("2026-01-02T03:04:05.6Z", "2026-02-03T04:05:06.7Z")
    assert (told.etag, told.response_payload) == ("an etag", '{"a": 1}')
