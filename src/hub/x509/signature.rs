//! Whether a signature is by a certificate's key.
//!
//! Certificates of version 1, which `openssl x509 -req` makes unless told otherwise, are read here too; webpki does
//! not read them, and Azure's hubs do not mind.

use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, Error};
use webpki::RawPublicKeyEntity;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// A certificate in DER.
pub(super) fn read(der: &[u8]) -> Result<Certificate, Error> {
    Certificate::from_der(der).map_err(|_| bad_encoding())
}

/// The public key of a certificate.
pub(super) fn public_key(certificate: &Certificate) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let der = certificate.tbs_certificate().subject_public_key_info().to_der();
    der.map(SubjectPublicKeyInfoDer::from).map_err(|_| bad_encoding())
}

/// Check that this key made the signature, by the first of the algorithms that is for such keys.
pub(super) fn check(
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithms: impl IntoIterator<Item = &'static dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let key = RawPublicKeyEntity::try_from(key).map_err(|_| bad_encoding())?;
    for algorithm in algorithms {
        match key.verify_signature(algorithm, message, signature) {
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            verified => return verified.map_err(|_| CertificateError::BadSignature.into()),
        }
    }
    Err(CertificateError::BadSignature.into())
}

fn bad_encoding() -> Error {
    CertificateError::BadEncoding.into()
}
