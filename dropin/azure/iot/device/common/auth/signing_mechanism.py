"""What signs a token."""

from ferrohub.device.auth.signing_mechanism import SigningMechanism as SigningMechanism
from ferrohub.device.auth.signing_mechanism import SymmetricKeySigningMechanism as SymmetricKeySigningMechanism
