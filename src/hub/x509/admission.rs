//! Whether a certificate is that of a device or module.

use super::ClientCertificate;
use crate::hub::HubState;
use crate::hub::access::Denied;
use crate::hub::entity::{Authentication, Identity};
use crate::protocol::identity::IdentityId;

impl HubState {
    /// Check the certificate that a client has shown for this identity: by its thumbprint, or by its CA and the common
    /// name, which is that of the device, or `device/module`.
    ///
    /// # Errors
    /// [`Denied`] if the identity has keys, or the certificate is not its own or not valid now.
    pub fn check_certificate(
        &self,
        certificate: &ClientCertificate,
        id: &IdentityId,
        identity: &Identity,
    ) -> Result<(), Denied> {
        let now = self.clock.unix_seconds();
        match &identity.authentication {
            Authentication::Sas(_) => Err(Denied("the identity uses keys, and has shown a certificate only")),
            Authentication::SelfSigned(thumbprints) => {
                let mut known = [&thumbprints.primary, &thumbprints.secondary].into_iter().flatten();
                if !known.any(|thumbprint| certificate.has_thumbprint(thumbprint)) {
                    return Err(Denied("the certificate has neither of the identity's thumbprints"));
                }
                certificate.check_time(now)
            }
            Authentication::CertificateAuthority => {
                if certificate.common_name() != id.to_string() {
                    return Err(Denied("the certificate's common name is not the identity's name"));
                }
                certificate.check_signed_by(&self.registered_authorities(), now)
            }
            Authentication::None => Err(Denied("the identity has no way to authenticate")),
        }
    }
}
