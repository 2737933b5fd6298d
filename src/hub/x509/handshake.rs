//! The TLS handshake's part: every client is asked for a certificate, and none has to have one.
//!
//! Whom a certificate stands for is seen only later, when the client says who it is. So any that can be read is taken
//! here, if the client proves that it has the private key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::signature;
use crate::tls;

/// Takes any client's certificate, or none.
#[derive(Debug)]
pub(in crate::hub) struct AnyClient(WebPkiSupportedAlgorithms);

impl AnyClient {
    pub(in crate::hub) fn new() -> Self {
        Self(tls::provider().signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        signature::read(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = signature::public_key(&signature::read(certificate)?)?;
        let of_scheme = self.0.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let algorithms = of_scheme.flat_map(|(_, algorithms)| algorithms.iter().copied());
        signature::check(&key, algorithms, message, signed.signature())
            .map(|()| HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = signature::public_key(&signature::read(certificate)?)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
