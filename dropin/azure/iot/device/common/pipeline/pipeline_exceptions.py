"""What ends an operation, as the official package calls it inside: causes of the public exceptions."""

from ferrohub.device.internal_exceptions import OperationCancelled as OperationCancelled
from ferrohub.device.internal_exceptions import OperationError as OperationError
from ferrohub.device.internal_exceptions import OperationTimeout as OperationTimeout
from ferrohub.device.internal_exceptions import PipelineException as PipelineException
from ferrohub.device.internal_exceptions import PipelineNotRunning as PipelineNotRunning
from ferrohub.device.internal_exceptions import PipelineRuntimeError as PipelineRuntimeError
