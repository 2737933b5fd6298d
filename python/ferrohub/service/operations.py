"""The operations of the identity registry and of twins, one row each.

https://learn.microsoft.com/rest/api/iothub/service/devices
https://learn.microsoft.com/rest/api/iothub/service/modules
"""

from __future__ import annotations

from ferrohub.service.models import Device, Module, Twin
from ferrohub.service.operation import Operation, list_of, quoted_or_star

DEVICE = "/devices/{id}"
MODULE = "/devices/{id}/modules/{mid}"
DEVICE_TWIN = "/twins/{id}"
MODULE_TWIN = "/twins/{id}/modules/{mid}"

CREATE_DEVICE = Operation("PUT", DEVICE, Device.deserialize, body=Device)
UPDATE_DEVICE = Operation("PUT", DEVICE, Device.deserialize, body=Device, if_match=quoted_or_star)
GET_DEVICE = Operation("GET", DEVICE, Device.deserialize)
GET_DEVICES = Operation("GET", "/devices", list_of(Device), query=[("top", int)])
DELETE_DEVICE: Operation[None] = Operation("DELETE", DEVICE, if_match=quoted_or_star, success=(204,))

CREATE_MODULE = Operation("PUT", MODULE, Module.deserialize, body=Module, success=(200, 201))
UPDATE_MODULE = Operation("PUT", MODULE, Module.deserialize, body=Module, if_match=quoted_or_star, success=(200, 201))
GET_MODULE = Operation("GET", MODULE, Module.deserialize)
GET_MODULES = Operation("GET", "/devices/{id}/modules", list_of(Module))
DELETE_MODULE: Operation[None] = Operation("DELETE", MODULE, if_match=quoted_or_star, success=(204,))

GET_TWIN = Operation("GET", DEVICE_TWIN, Twin.deserialize)
REPLACE_TWIN = Operation("PUT", DEVICE_TWIN, Twin.deserialize, body=Twin, if_match=quoted_or_star)
UPDATE_TWIN = Operation("PATCH", DEVICE_TWIN, Twin.deserialize, body=Twin, if_match=quoted_or_star)

GET_MODULE_TWIN = Operation("GET", MODULE_TWIN, Twin.deserialize)
REPLACE_MODULE_TWIN = Operation("PUT", MODULE_TWIN, Twin.deserialize, body=Twin, if_match=quoted_or_star)
UPDATE_MODULE_TWIN = Operation("PATCH", MODULE_TWIN, Twin.deserialize, body=Twin, if_match=quoted_or_star)
