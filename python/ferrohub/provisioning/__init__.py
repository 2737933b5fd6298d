"""Provisioning of devices; programs import it as `azure.iot.device.provisioning`.

- `clients`, `aio`: the client, synchronous and with asyncio; `abstract_client`: how it is made, `options`: from what
- `registration_result`: what the provisioning service answers
"""
