"""Who asks: a shared access policy, or a token credential."""

from ferrohub.service.authentication import SharedAccessPolicy as ConnectionStringAuthentication
from ferrohub.service.authentication import TokenAuthorization as AzureIdentityCredentialAdapter

__all__ = ["AzureIdentityCredentialAdapter", "ConnectionStringAuthentication"]
