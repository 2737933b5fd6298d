//! The certificates that a client trusts, and how a server's is held against them.
//!
//! Whatever they have signed is trusted, and so are they themselves: a server with a self-signed certificate needs no CA,
//! and what makes such certificates (`openssl req -x509`) marks them as a CA's, which webpki refuses to see at a server.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::error::Result;

type Fingerprint = [u8; 32];

/// Certificates to trust; those that can't be read are left out.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    anchors: RootCertStore,
    /// Of each; the certificates themselves would take 200 KB for a system's.
    fingerprints: HashSet<Fingerprint>,
}

impl Trusted {
    pub(super) fn new(certificates: &[CertificateDer<'static>]) -> Self {
        let mut trusted = Self { anchors: RootCertStore::empty(), fingerprints: HashSet::new() };
        trusted.add(certificates);
        trusted
    }

    pub(super) fn add(&mut self, certificates: &[CertificateDer<'static>]) {
        self.fingerprints.extend(certificates.iter().map(|certificate| fingerprint(certificate)));
        self.anchors.add_parsable_certificates(certificates.iter().cloned());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    pub(super) fn verifier(self) -> Result<Verifier> {
        let by_issuer =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.anchors), super::provider()).build();
        Ok(Verifier { by_issuer: by_issuer.map_err(super::tls_setup)?, fingerprints: self.fingerprints })
    }
}

/// Checks the certificates of servers.
#[derive(Debug)]
pub(super) struct Verifier {
    by_issuer: Arc<WebPkiServerVerifier>,
    fingerprints: HashSet<Fingerprint>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let by_issuer =
            self.by_issuer.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match by_issuer {
            Err(rustls::Error::InvalidCertificate(reason)) if lacks_an_issuer(&reason) => {}
            decided => return decided,
        }
        if !self.fingerprints.contains(&fingerprint(end_entity)) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        // Its dates have been looked at before its issuer, its name has not.
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_issuer.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_issuer.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_issuer.supported_verify_schemes()
    }
}

/// Whether nothing else speaks against a certificate than that nobody who is trusted has signed it for a server.
fn lacks_an_issuer(reason: &CertificateError) -> bool {
    match reason {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(reason) => {
            matches!(reason.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Sha256::digest(certificate).into()
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::pki_types::CertificateDer;

    use super::*;

    const A_DAY: u64 = 86_400;
    /// The middle of the certificate's day.
    const NOON: u64 = 1_000 * A_DAY + A_DAY / 2;

    fn self_signed(is_ca: IsCa) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["hub".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.not_before = rcgen::date_time_ymd(1972, 9, 27);
        params.not_after = rcgen::date_time_ymd(1972, 9, 28);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verified(
        trusted: &[CertificateDer<'static>],
        shown: &CertificateDer<'_>,
        name: &str,
        seconds: u64,
    ) -> bool {
        let verifier = Trusted::new(trusted).verifier().unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verifier.verify_server_cert(shown, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn a_trusted_certificate_is_itself_good_for_a_server() {
        for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            let shown = self_signed(is_ca);
            let trusted = [self_signed(IsCa::NoCa), shown.clone()];
            assert!(verified(&trusted, &shown, "hub", NOON));
            assert!(!verified(&trusted, &shown, "other", NOON));
            assert!(!verified(&trusted, &shown, "hub", NOON + A_DAY));
            assert!(!verified(&trusted, &shown, "hub", NOON - A_DAY));
        }
    }

    #[test]
    fn one_of_the_same_name_that_is_not_trusted_is_not() {
        for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            assert!(!verified(&[self_signed(is_ca)], &self_signed(is_ca), "hub", NOON));
        }
    }
}
