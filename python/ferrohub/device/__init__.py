"""Clients of devices and modules; programs import them as `azure.iot.device`.

- `clients`: the synchronous clients; `message`: what they send; `options`: what they are made from
- `exceptions`: what they raise; `_errors`: how an error of the core becomes one
"""
