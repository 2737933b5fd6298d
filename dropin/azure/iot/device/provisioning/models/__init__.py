"""What the provisioning service answers."""

from azure.iot.device.provisioning.models.registration_result import RegistrationResult as RegistrationResult
