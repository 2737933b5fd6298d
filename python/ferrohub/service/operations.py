"""The operations of IoT Hub's REST interface, one row each.

The etag that an operation is conditional on is given with each call; how it is written differs from one group of
calls to the next, see `ferrohub.service.calls`.

https://learn.microsoft.com/rest/api/iothub/service/
"""

from __future__ import annotations

from ferrohub.service import bodies, models
from ferrohub.service.operation import Many, One, Operation, anything

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_CONTENT = (204,)

# --- the identity registry ---

DEVICE = "/devices/{id}"
MODULE = "/devices/{id}/modules/{mid}"

PUT_DEVICE = Operation("PUT", DEVICE, One(models.Device), body=bodies.one(models.Device))
GET_DEVICE = Operation("GET", DEVICE, One(models.Device))
GET_DEVICES = Operation("GET", "/devices", Many(models.Device), query=[("top", int)])
DELETE_DEVICE: Operation[None] = Operation("DELETE", DEVICE, success=NO_CONTENT)

PUT_MODULE = Operation("PUT", MODULE, One(models.Module), body=bodies.one(models.Module), success=(200, 201))
GET_MODULE = Operation("GET", MODULE, One(models.Module))
GET_MODULES = Operation("GET", "/devices/{id}/modules", Many(models.Module))
DELETE_MODULE: Operation[None] = Operation("DELETE", MODULE, success=NO_CONTENT)

# 400 is what the hub answers when some of the devices could not be done: the result tells which.
UPDATE_REGISTRY = Operation(
    "POST",
    "/devices",
    One(models.BulkRegistryOperationResult),
    body=bodies.many(bodies.one(models.ExportImportDevice)),
    success=(200, 400),
)
# The same, for a call that knows its own success when the request had to be sent twice.
CHANGE_IDENTITIES = Operation(
    "POST",
    "/devices",
    UPDATE_REGISTRY.returns,
    body=UPDATE_REGISTRY.body,
    success=UPDATE_REGISTRY.success,
    repeatable=True,
)
GET_SERVICE_STATISTICS = Operation("GET", "/statistics/service", One(models.ServiceStatistics))
GET_DEVICE_STATISTICS = Operation("GET", "/statistics/devices", One(models.RegistryStatistics))

# --- twins, queries and direct methods ---

DEVICE_TWIN = "/twins/{id}"
MODULE_TWIN = "/twins/{id}/modules/{mid}"

GET_TWIN = Operation("GET", DEVICE_TWIN, One(models.Twin))
REPLACE_TWIN = Operation("PUT", DEVICE_TWIN, One(models.Twin), body=bodies.one(models.Twin))
UPDATE_TWIN = Operation("PATCH", DEVICE_TWIN, One(models.Twin), body=bodies.one(models.Twin))
GET_MODULE_TWIN = Operation("GET", MODULE_TWIN, One(models.Twin))
REPLACE_MODULE_TWIN = Operation("PUT", MODULE_TWIN, One(models.Twin), body=bodies.one(models.Twin))
UPDATE_MODULE_TWIN = Operation("PATCH", MODULE_TWIN, One(models.Twin), body=bodies.one(models.Twin))

_PAGE = [("x-ms-continuation", str), ("x-ms-max-item-count", str)]
_QUERY = bodies.one(models.QuerySpecification)
QUERY_TWINS = Operation("POST", "/devices/query", Many(models.Twin), body=_QUERY, headers=_PAGE)
# The same, with rows as they come: a query may also select parts of twins, numbers or jobs. And it is asked again when
# its answer is lost, which the official package doesn't do for the other.
QUERY_ROWS = Operation("POST", "/devices/query", anything, body=_QUERY, headers=_PAGE, repeatable=True)


def _waits(named: Any) -> float:
    """Seconds that a hub may need for a method: to wait for the device and for its response, and to tell of it."""
    connect, response = named.get("connectTimeoutInSeconds") or 0, named.get("responseTimeoutInSeconds") or 30
    return int(connect) + int(response) + 10.0


_METHOD = bodies.one(models.CloudToDeviceMethod)
_METHOD_RESULT = One(models.CloudToDeviceMethodResult)
INVOKE_METHOD = Operation(
    "POST", "/twins/{device_id}/methods", _METHOD_RESULT, body=_METHOD, takes=lambda _options, method: _waits(method)
)
INVOKE_MODULE_METHOD = Operation(
    "POST",
    "/twins/{device_id}/modules/{module_id}/methods",
    _METHOD_RESULT,
    body=_METHOD,
    takes=lambda _options, method: _waits(method),
)

# --- configurations ---

CONFIGURATION = "/configurations/{id}"
_CONFIGURATION = One(models.Configuration)

GET_CONFIGURATION = Operation("GET", CONFIGURATION, _CONFIGURATION)
GET_CONFIGURATIONS = Operation("GET", "/configurations", Many(models.Configuration), query=[("top", int)])
PUT_CONFIGURATION = Operation(
    "PUT", CONFIGURATION, _CONFIGURATION, body=bodies.one(models.Configuration), success=(200, 201)
)
DELETE_CONFIGURATION: Operation[None] = Operation("DELETE", CONFIGURATION, success=NO_CONTENT)
TEST_CONFIGURATION_QUERIES = Operation(
    "POST",
    "/configurations/testQueries",
    One(models.ConfigurationQueriesTestResponse),
    body=bodies.one(models.ConfigurationQueriesTestInput),
)
APPLY_CONFIGURATION: Operation[None] = Operation(
    "POST",
    "/devices/{id}/applyConfigurationContent",
    body=bodies.one(models.ConfigurationContent),
    success=NO_CONTENT,
)

# --- jobs ---

_JOB_PROPERTIES = One(models.JobProperties)
_JOB_RESPONSE = One(models.JobResponse)

CREATE_IMPORT_EXPORT_JOB = Operation("POST", "/jobs/create", _JOB_PROPERTIES, body=bodies.one(models.JobProperties))
GET_IMPORT_EXPORT_JOBS = Operation("GET", "/jobs", Many(models.JobProperties))
GET_IMPORT_EXPORT_JOB = Operation("GET", "/jobs/{id}", _JOB_PROPERTIES)
CANCEL_IMPORT_EXPORT_JOB = Operation("DELETE", "/jobs/{id}", anything, success=(200, 204))
GET_SCHEDULED_JOB = Operation("GET", "/jobs/v2/{id}", _JOB_RESPONSE)
CREATE_SCHEDULED_JOB = Operation("PUT", "/jobs/v2/{id}", _JOB_RESPONSE, body=bodies.one(models.JobRequest))
CANCEL_SCHEDULED_JOB = Operation("POST", "/jobs/v2/{id}/cancel", _JOB_RESPONSE)
_JOBS, _JOB_FILTER = "/jobs/v2/query", [("jobType", str), ("jobStatus", str)]
QUERY_SCHEDULED_JOBS = Operation("GET", _JOBS, One(models.QueryResult), query=_JOB_FILTER)
# The same as IoT Hub has it: a list in the body, and where it goes on in the headers.
LIST_SCHEDULED_JOBS = Operation("GET", _JOBS, anything, query=_JOB_FILTER, headers=_PAGE)

# --- messages to and from devices ---

_FEEDBACK = "/messages/serviceBound/feedback"

PURGE_MESSAGES = Operation("DELETE", "/devices/{id}/commands", One(models.PurgeMessageQueueResult))
RECEIVE_FEEDBACK: Operation[None] = Operation("GET", _FEEDBACK, success=(200, 204))
COMPLETE_FEEDBACK: Operation[None] = Operation("DELETE", _FEEDBACK + "/{lock_token}", success=NO_CONTENT)
ABANDON_FEEDBACK: Operation[None] = Operation("POST", _FEEDBACK + "/{lock_token}/abandon", success=NO_CONTENT)

# --- digital twins ---

_COMMAND_TIMEOUTS = [("connectTimeoutInSeconds", int), ("responseTimeoutInSeconds", int)]

GET_DIGITAL_TWIN = Operation("GET", "/digitaltwins/{id}", anything)
UPDATE_DIGITAL_TWIN: Operation[None] = Operation(
    "PATCH", "/digitaltwins/{id}", body=bodies.many(bodies.anything), success=(202,)
)
INVOKE_COMMAND = Operation(
    "POST",
    "/digitaltwins/{id}/commands/{command_name}",
    anything,
    body=bodies.anything,
    late_query=_COMMAND_TIMEOUTS,
    takes=lambda options, _payload: _waits(options),
)
INVOKE_COMPONENT_COMMAND = Operation(
    "POST",
    "/digitaltwins/{id}/components/{component_path}/commands/{command_name}",
    anything,
    body=bodies.anything,
    late_query=_COMMAND_TIMEOUTS,
    takes=lambda options, _payload: _waits(options),
)
