"""Errors are the official ones: what `interop/scenarios/errors.py` raises has the same class, text and cause with both
packages. Ours may be of a subclass, and say more after the official sentence.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.timeout(300)


class Expected(NamedTuple):
    """The official class, sentence, and cause."""

    cls: str
    text: str
    cause: str = ""
    cause_text: str = ""


TYPE, VALUE, CLIENT = "TypeError", "ValueError", "ClientError"
UNPARSED = Expected(VALUE, "Invalid Connection String - Unable to parse")
WRONG_KEY = Expected(VALUE, "Invalid Connection String - Invalid Key")
INCOMPLETE = Expected(VALUE, "Invalid Connection String - Incomplete")
NO_NUMBER = Expected(TYPE, "Invalid type for 'keep alive'. Must be a numeric value.")
REFUSED = Expected("CredentialError", "Credentials invalid, could not connect", "UnauthorizedError")
UNTRUSTED = Expected(CLIENT, "Error in the IoTHub client due to TLS exchanges.", "TlsExchangeAuthError")
UNEXPECTED = "Unexpected failure"
FORM = "payload must be a string, bytearray, int, float or None."


def refused_over_https(answer: str) -> Expected:
    """What the hub's answer with this status, name and reason becomes."""
    return Expected(CLIENT, UNEXPECTED, "ServiceError", f"HTTP operation returned: {answer}")


EXPECTED: dict[str, dict[str, Expected | None]] = {
    "errors_of_keyword_arguments": {
        "unknown": Expected(TYPE, "Unsupported keyword argument: 'model_id'"),
        "excluded": Expected(TYPE, "Unsupported keyword argument: 'gateway_hostname'"),
        "no cipher": Expected(TYPE, "Invalid type for 'cipher'"),
        "cipher of another type": Expected(TYPE, "Invalid type for 'cipher'"),
        "keep_alive is None": NO_NUMBER,
        "keep_alive is a word": NO_NUMBER,
        "keep_alive is 0": Expected(VALUE, "'keep alive' must be greater than 0"),
        "keep_alive is above": Expected(VALUE, "'keep_alive' cannot exceed 1740 seconds (29 minutes)"),
        "keep_alive as a text": None,
        "interval is None": Expected(TYPE, "Invalid type for 'connection_retry_interval'. Must be a numeric value"),
        "interval is 0": Expected(VALUE, "'connection_retry_interval' must be greater than 0"),
        "interval is above": Expected(VALUE, "'connection_retry_interval' cannot exceed 9223372036.0 seconds"),
        "proxy of another type": Expected("AttributeError", "'str' object has no attribute 'proxy_address'"),
        "sastoken_ttl is negative": None,
    },
    "errors_of_connection_strings": {
        "no text": Expected(TYPE, "Connection String must be of type str"),
        "no pairs": UNPARSED,
        "semicolon at the end": UNPARSED,
        "twice the same": UNPARSED,
        "unknown key": WRONG_KEY,
        "key in lower case": WRONG_KEY,
        "two credentials": Expected(VALUE, "Invalid Connection String - Mixed authentication scheme"),
        "no credentials": INCOMPLETE,
        "no device": INCOMPLETE,
        "empty device": INCOMPLETE,
        "certificate": Expected(
            VALUE, "Use the .create_from_x509_certificate() method instead when using X509 certificates"
        ),
        "of a policy": Expected("KeyError", "'DeviceId'"),
        "key that is no base64": Expected(VALUE, "Invalid Symmetric Key"),
        "key of nothing": None,
        "name of the key": None,
        "module for a device": None,
        "device for a module": None,
    },
    "errors_of_credentials": {
        "no token": Expected(
            VALUE, "Invalid SasToken provided", "SasTokenError", "Invalid SasToken string: Not a SasToken "
        ),
        "token for a hub": Expected(VALUE, "Invalid SAS URI"),
        "token for something else": Expected(VALUE, "Cannot extract device id from SAS URI"),
        "token for no module": Expected(VALUE, "Cannot extract module id from SAS URI"),
        "token for a module": Expected(VALUE, "Provided SasToken is for a module"),
        "token for a device": Expected(VALUE, "Provided SasToken is for a device"),
        "expired token": Expected(VALUE, "Provided SasToken has already expired"),
        "expiry that is no number": Expected(VALUE, "invalid literal for int() with base 10: 'soon'"),
        "token and its time to live": Expected(TYPE, "Unsupported keyword argument: 'sastoken_ttl'"),
        "token of another device": Expected(VALUE, "Provided SasToken does not match existing device id"),
        "token of another module": Expected(VALUE, "Provided SasToken does not match existing module id"),
        "token of another hub": Expected(VALUE, "Provided SasToken does not match existing hostname"),
        "token for a client with a key": Expected(
            CLIENT, "Cannot update sastoken when client was not created with one"
        ),
        "certificate that is not there": Expected("FileNotFoundError", "[Errno 2] No such file or directory"),
        "no IoT Edge": Expected("OSError", "IoT Edge environment not configured correctly", "KeyError"),
        "proxy of no type": Expected(VALUE, "Invalid Proxy Type"),
    },
    "errors_of_calls": {
        "handlers beside calls": Expected(CLIENT, "Cannot set receive handlers - receive APIs have already been used"),
        "calls beside handlers": Expected(CLIENT, "Cannot use receive APIs - receive handler(s) have already been set"),
        "data without a form": Expected(CLIENT, UNEXPECTED, TYPE, FORM),
        "two properties of one name": Expected(CLIENT, UNEXPECTED, VALUE, "Duplicate keys in custom properties!"),
        "largest message": None,
        "too large": Expected(VALUE, "Size of telemetry message can not exceed 256 KB."),
        "too large for an output": Expected(VALUE, "Size of message can not exceed 256 KB."),
        "report that is refused": Expected(CLIENT, UNEXPECTED, "ServiceError", "twin operation returned status 400"),
        "report that is no JSON": Expected(CLIENT, UNEXPECTED, TYPE, "Object of type bytes is not JSON serializable"),
        "response that is no JSON": Expected(CLIENT, UNEXPECTED, TYPE, "Object of type set is not JSON serializable"),
        "id with a wildcard": Expected(CLIENT, UNEXPECTED, VALUE, "Publish topic cannot contain wildcards."),
    },
    "errors_of_uploads": {
        "unknown upload": refused_over_https("400 ArgumentError(Error: Bad Request)"),
        "name that is empty": refused_over_https("400 ArgumentError(Error: Bad Request)"),
        "name that is no JSON": Expected(CLIENT, UNEXPECTED, TYPE, "Object of type bytes is not JSON serializable"),
        "status that is no JSON": Expected(CLIENT, UNEXPECTED, TYPE, "Object of type bytes is not JSON serializable"),
        "unknown device": refused_over_https("401 UnauthorizedError(Error: Unauthorized)"),
        "eleventh upload": refused_over_https("403 TooManyDevicesError(Error: Forbidden)"),
    },
    "errors_of_methods_called_on_edge": {
        "no name": Expected("KeyError", "'methodName'"),
        "device that is not connected": refused_over_https("404 Error('Not found')"),
        "module that is not there": refused_over_https("404 Error('Not found')"),
        "payload that is no JSON": Expected(CLIENT, UNEXPECTED, TYPE, "Object of type bytes is not JSON serializable"),
        "elsewhere than on IoT Edge": Expected(
            CLIENT,
            UNEXPECTED,
            "PipelineRuntimeError",
            "invoke_method called, but it is only supported on module clients generated from an edge environment.",
        ),
    },
    "errors_of_connections": {
        "not connected": Expected(
            "NoConnectionError",
            "Client is not connected to IoTHub",
            "NoConnectionError",
            "The client is not currently connected.",
        ),
        "shut down": Expected("PipelineNotRunning", "Cannot execute method - Pipeline is not running"),
        "no such host": Expected("ConnectionFailedError", "Could not connect to IoTHub", "ConnectionFailedError"),
        "another name": UNTRUSTED,
        "another CA": UNTRUSTED,
        "return code 2": Expected(CLIENT, "Error in the IoTHub client", "ProtocolClientError"),
        "return code 3": Expected("ConnectionFailedError", "Could not connect to IoTHub", "ConnectionFailedError"),
        "return code 4": REFUSED,
        "return code 5": REFUSED,
        "disconnected meanwhile": Expected(
            "OperationCancelled", "Operation was cancelled before completion", "OperationCancelled"
        ),
    },
}


@pytest.mark.parametrize("scenario", EXPECTED)
def test_what_goes_wrong_is_raised_as_the_official_package_raises_it(told: dict[str, Any], scenario: str) -> None:
    found: dict[str, Any] = told[scenario]
    assert list(found) == list(EXPECTED[scenario])
    assert {
        name: wrong for name, error in found.items() if (wrong := difference(EXPECTED[scenario][name], error))
    } == {}


def difference(expected: Expected | None, error: dict[str, Any] | None) -> Any:
    """What was raised, if it is not what should be."""
    if expected is None or error is None:
        return None if expected is None and error is None else error or "nothing"
    classes = expected.cls in error["classes"] and (not expected.cause or expected.cause in error["causes"])
    texts = error["text"].startswith(expected.text) and error["cause"].startswith(expected.cause_text)
    return None if classes and texts else error
