//! Whether a device is the one that is enrolled: by its token or its certificate.

use super::ID_SCOPE;
use super::enrollment::{self, Attestation, Enrollment};
use crate::auth::{SasKey, SasToken};
use crate::hub::HubState;
use crate::hub::access::Denied;
use crate::hub::entity::{Authentication, SymmetricKeys, Thumbprints};
use crate::hub::error::HubError;
use crate::hub::sessions::Proof;
use crate::hub::store::State;
use crate::hub::x509::ClientCertificate;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::provisioning;

/// A device that wants to register, as its CONNECT describes it.
pub struct Registrant {
    /// Which service it asks for.
    pub id_scope: String,
    /// By which name.
    pub registration_id: String,
    /// Its token; empty if it shows a certificate.
    pub password: String,
    /// What it showed in the TLS handshake.
    pub certificate: Option<ClientCertificate>,
}

/// An enrollment that a device has proved to be of, and how the hub is to know it from now on.
pub(super) struct Enrolled {
    pub(super) enrollment: Enrollment,
    pub(super) authentication: Authentication,
}

impl Registrant {
    fn proof(&self) -> Proof<'_> {
        Proof::of(&self.password, self.certificate.as_ref())
    }
}

impl HubState {
    /// Find the enrollment of a device.
    ///
    /// # Errors
    /// 404 if there is none that it could be of, 401 if there is and it isn't. The reason is for the hub's owner.
    pub(super) fn find_enrolled(
        &self,
        registrant: &Registrant,
    ) -> Result<Enrolled, (HubError, &'static str)> {
        let unauthorized = |Denied(why)| (HubError::unauthorized(), why);
        if registrant.id_scope != ID_SCOPE {
            return Err(unauthorized(Denied("it asked for another id scope")));
        }
        let candidates = self.store.peek(|state| candidates(state, &registrant.registration_id));
        if candidates.is_empty() {
            let not_found = HubError::new(ErrorCode::REGISTRATION_NOT_FOUND, "Not Found.");
            return Err((not_found, "it is not enrolled, and there is no group"));
        }
        let mut why = Denied("it is not enrolled");
        for enrollment in candidates {
            match self.check_attestation(&enrollment, registrant) {
                Ok(authentication) => return Ok(Enrolled { enrollment, authentication }),
                Err(denied) => why = denied,
            }
        }
        Err(unauthorized(why))
    }

    fn check_attestation(
        &self,
        enrollment: &Enrollment,
        registrant: &Registrant,
    ) -> Result<Authentication, Denied> {
        let now = self.clock.unix_seconds();
        match (registrant.proof(), &enrollment.attestation) {
            (Proof::Token(token), Attestation::SymmetricKey(keys)) => {
                let own = if enrollment.terms.group {
                    derived(keys, &registrant.registration_id)
                } else {
                    keys.clone()
                };
                check_token(token, &own, registrant, now)?;
                Ok(Authentication::Sas(own))
            }
            (Proof::Certificate(certificate), Attestation::Thumbprint(thumbprint)) => {
                if !certificate.has_thumbprint(thumbprint) {
                    return Err(Denied("its certificate is not the one that is enrolled"));
                }
                certificate.check_time(now)?;
                Ok(self_signed(certificate))
            }
            (Proof::Certificate(certificate), Attestation::Authorities(_)) => {
                if !certificate.common_name().eq_ignore_ascii_case(&registrant.registration_id) {
                    return Err(Denied("its certificate's common name is not the registration id"));
                }
                certificate.check_signed_by(&enrollment.authorities(), now)?;
                Ok(self_signed(certificate))
            }
            (Proof::Nothing, _) => Err(Denied("it has shown neither a token nor a certificate")),
            (Proof::Token(_), _) => Err(Denied("it is enrolled with a certificate, and has shown a token")),
            (Proof::Certificate(_), _) => {
                Err(Denied("it is enrolled with keys, and has shown a certificate"))
            }
        }
    }
}

/// The device's own enrollment, or else every group: which of them it is of, only its proof tells.
fn candidates(state: &State, registration_id: &str) -> Vec<Enrollment> {
    match enrollment::find(state, registration_id).filter(|enrollment| !enrollment.terms.group) {
        Some(own) => vec![own],
        None => enrollment::all(state).filter(|enrollment| enrollment.terms.group).collect(),
    }
}

/// The keys of one device of a group. Keys that are kept have been checked.
fn derived(keys: &SymmetricKeys, registration_id: &str) -> SymmetricKeys {
    let derive = |key: &str| {
        let key = SasKey::from_base64(key).unwrap_or_else(|_| SasKey::from_bytes(Vec::new()));
        key.derive(registration_id).to_base64()
    };
    SymmetricKeys { primary: derive(&keys.primary), secondary: derive(&keys.secondary) }
}

fn check_token(
    text: &str,
    keys: &SymmetricKeys,
    registrant: &Registrant,
    unix_seconds: u64,
) -> Result<(), Denied> {
    let token = SasToken::parse(text).map_err(|_| Denied("the password is not a SAS token"))?;
    let mut own = [&keys.primary, &keys.secondary].into_iter();
    if !own.any(|key| SasKey::from_base64(key).is_ok_and(|key| token.signed_by(&key))) {
        return Err(Denied("the signature is by neither key, its own or derived from its group's"));
    }
    let resource = provisioning::resource(&registrant.id_scope, &registrant.registration_id);
    if !token.resource.eq_ignore_ascii_case(&resource) {
        return Err(Denied("the token is for another registration"));
    }
    if token.expires_unix_seconds <= unix_seconds {
        return Err(Denied("the token has expired"));
    }
    Ok(())
}

/// The hub knows a device by the certificate that it has registered with.
fn self_signed(certificate: &ClientCertificate) -> Authentication {
    Authentication::SelfSigned(Thumbprints { primary: Some(certificate.thumbprint()), secondary: None })
}
