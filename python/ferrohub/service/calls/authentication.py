"""How identities sign in, as the registry's calls describe it: the three kinds of `AuthenticationMechanism`."""

from __future__ import annotations

from ferrohub.service.models import AuthenticationMechanism, SymmetricKey, X509Thumbprint


def sas(primary_key: str | None, secondary_key: str | None) -> AuthenticationMechanism:
    """With shared access keys, base64; `""` lets the hub make them."""
    keys = SymmetricKey(primary_key=primary_key, secondary_key=secondary_key)
    return AuthenticationMechanism(type="sas", symmetric_key=keys)


def x509(primary_thumbprint: str | None, secondary_thumbprint: str | None) -> AuthenticationMechanism:
    """With certificates of these SHA-1 or SHA-256 thumbprints."""
    thumbprints = X509Thumbprint(primary_thumbprint=primary_thumbprint, secondary_thumbprint=secondary_thumbprint)
    return AuthenticationMechanism(type="selfSigned", x509_thumbprint=thumbprints)


def certificate_authority() -> AuthenticationMechanism:
    """With certificates that a CA known to the hub has signed."""
    return AuthenticationMechanism(type="certificateAuthority")
