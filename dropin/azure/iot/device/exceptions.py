"""What calls of device and module clients raise."""

from ferrohub.device.exceptions import ClientError as ClientError
from ferrohub.device.exceptions import ConnectionDroppedError as ConnectionDroppedError
from ferrohub.device.exceptions import ConnectionFailedError as ConnectionFailedError
from ferrohub.device.exceptions import CredentialError as CredentialError
from ferrohub.device.exceptions import NoConnectionError as NoConnectionError
from ferrohub.device.exceptions import OperationCancelled as OperationCancelled
from ferrohub.device.exceptions import OperationTimeout as OperationTimeout
from ferrohub.device.exceptions import ServiceError as ServiceError
