"""What the provisioning service answers."""

from ferrohub.provisioning.registration_result import RegistrationResult as RegistrationResult
from ferrohub.provisioning.registration_result import RegistrationState as RegistrationState
