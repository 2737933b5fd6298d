//! The CAs whose certificates stand for devices: registered by the hub's owner, kept with the hub's state.
//!
//! Azure's hubs ask for a proof that the owner has the CA's private key. A local hub's owner only deceives himself.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, Error as TlsError, RootCertStore};
use sha2::{Digest, Sha256};
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::Encode;
use x509_cert::ext::pkix::BasicConstraints;

use super::{ClientCertificate, signature};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::access::Denied;
use crate::hub::store::State;
use crate::hub::{HubError, HubState};
use crate::tls;

/// The names of their records begin so.
const RECORDS: &str = "certificate-authority/";

/// CA certificates in a PEM text, in DER.
///
/// # Errors
/// `InvalidArgument` if there is none in it, or one that isn't a CA's.
pub fn ca_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = pem_certificates(pem)?;
    if !certificates.iter().all(is_authority) {
        return Err(refuse(
            "a certificate can't be a CA's: it lacks the basic constraint CA:TRUE, which \
             `openssl req -x509 -addext basicConstraints=critical,CA:TRUE` gives it",
        ));
    }
    Ok(certificates)
}

/// Certificates in a PEM text, in DER.
///
/// # Errors
/// `InvalidArgument` if there is none in it.
pub fn pem_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| refuse("the PEM text can't be read").caused_by(error))?;
    if certificates.is_empty() {
        return Err(refuse("there is no PEM certificate in the text"));
    }
    Ok(certificates)
}

fn refuse(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, text)
}

fn is_authority(der: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = signature::read(der) else { return false };
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    matches!(constraints, Ok(Some((_, BasicConstraints { ca: true, .. }))))
}

impl HubState {
    /// Let certificates of these CAs stand for devices, from now on. One that is registered stays so.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn add_ca_certificates(
        &self,
        certificates: &[CertificateDer<'static>],
    ) -> std::result::Result<(), HubError> {
        let change = self.store.write(|transaction| {
            for certificate in certificates {
                let name = format!("{RECORDS}{}", STANDARD.encode(Sha256::digest(certificate)));
                transaction.put_record(name, STANDARD.encode(certificate));
            }
            Ok(())
        });
        change.await
    }

    /// The registered CAs.
    #[must_use]
    pub fn registered_authorities(&self) -> Vec<CertificateDer<'static>> {
        let decode = |(_, text): (&str, &str)| STANDARD.decode(text).ok().map(CertificateDer::from);
        self.store.peek(|state: &State| state.records(RECORDS).filter_map(decode).collect())
    }
}

impl ClientCertificate {
    /// Check that one of these CAs vouches for it at this time, directly or through its chain.
    ///
    /// # Errors
    /// [`Denied`] if none does, or the certificate is not for clients.
    pub fn check_signed_by(
        &self,
        authorities: &[CertificateDer<'static>],
        unix_seconds: u64,
    ) -> std::result::Result<(), Denied> {
        self.check_time(unix_seconds)?;
        let (end_entity, intermediates) = self.chain();
        let certificate = signature::read(end_entity).map_err(|error| denied(&error))?;
        if certificate.tbs_certificate().version() == Version::V1 {
            return check_version_1(&certificate, authorities);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider());
        let verifier = builder.build().map_err(|_| denied(&CertificateError::UnknownIssuer.into()))?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds));
        verifier.verify_client_cert(end_entity, intermediates, now).map(drop).map_err(|error| denied(&error))
    }
}

/// A certificate without extensions can't be restricted by them: all that counts is who signed it.
fn check_version_1(
    certificate: &Certificate,
    authorities: &[CertificateDer<'static>],
) -> std::result::Result<(), Denied> {
    let signed_by = |authority: &CertificateDer<'_>| {
        let authority = signature::read(authority).ok()?;
        if authority.tbs_certificate().subject() != certificate.tbs_certificate().issuer() {
            return None;
        }
        let algorithm = certificate.signature_algorithm().to_der().ok()?;
        let known = tls::provider().signature_verification_algorithms.all.iter().copied();
        // webpki has the identifier without the head of its SEQUENCE.
        let algorithms = known.filter(|known| algorithm.get(2..) == Some(known.signature_alg_id().as_ref()));
        let key = signature::public_key(&authority).ok()?;
        let message = certificate.tbs_certificate().to_der().ok()?;
        signature::check(&key, algorithms, &message, certificate.signature().raw_bytes()).ok()
    };
    let signed = authorities.iter().any(|authority| signed_by(authority).is_some());
    if signed { Ok(()) } else { Err(denied(&CertificateError::UnknownIssuer.into())) }
}

fn denied(error: &TlsError) -> Denied {
    Denied(match error {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no CA that is registered with the hub has signed the certificate"
        }
        TlsError::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        ) => "the certificate is not for clients: its extended key usage lacks clientAuth",
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "a certificate in the chain has expired"
        }
        _ => "the chain of the certificate is not valid",
    })
}
