"""Provisioning of devices; programs import it as `azure.iot.device.provisioning`.

- `registration_result`: what the provisioning service answers
"""
