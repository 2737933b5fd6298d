"""What goes wrong with a connection, as the official package calls it inside: causes of the public exceptions."""

from ferrohub.device.internal_exceptions import ConnectionDroppedError as ConnectionDroppedError
from ferrohub.device.internal_exceptions import ConnectionFailedError as ConnectionFailedError
from ferrohub.device.internal_exceptions import NoConnectionError as NoConnectionError
from ferrohub.device.internal_exceptions import ProtocolClientError as ProtocolClientError
from ferrohub.device.internal_exceptions import ProtocolProxyError as ProtocolProxyError
from ferrohub.device.internal_exceptions import TlsExchangeAuthError as TlsExchangeAuthError
from ferrohub.device.internal_exceptions import UnauthorizedError as UnauthorizedError
