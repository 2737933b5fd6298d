//! The certificate and private key that a client shows instead of a password.
//!
//! <https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-x509>

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, Error as TlsError, InconsistentKeys};

use super::{pem_certificates, provider};
use crate::error::{Error, ErrorKind, Result};

const ENCRYPTED: (&str, &str) =
    ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");
/// In the head of a key that is encrypted as OpenSSL did before PKCS#8.
const LEGACY_ENCRYPTED: &str = "Proc-Type: 4,ENCRYPTED";
const TO_PKCS8: &str = "`openssl pkcs8 -topk8 -in <key file> -out <new key file>`";

/// A certificate with its chain and its private key; never shown.
#[derive(Clone)]
pub struct Identity(Arc<SingleCertAndKey>);

impl Identity {
    /// Read PEM texts: the certificate followed by its chain, and the private key as PKCS#8 (also encrypted),
    /// PKCS#1 or SEC1.
    ///
    /// # Errors
    /// `TlsOption`, saying what can't be used and what to do about it.
    pub fn from_pem(certificate: &[u8], key: &[u8], pass_phrase: Option<&[u8]>) -> Result<Self> {
        let chain: Vec<CertificateDer<'static>> = pem_certificates(certificate);
        if chain.is_empty() {
            return Err(refuse("no PEM certificate is in what was given as the device's certificate"));
        }
        let key = provider().key_provider.load_private_key(private_key(key, pass_phrase)?).map_err(|error| {
            let text = "the device's private key is of a kind that can't be used; RSA from 2048 to 4096 bits, ECDSA P-256 \
                        and P-384, and Ed25519 can";
            refuse(text).caused_by(error)
        })?;
        let certified = CertifiedKey::new(chain, key);
        check_match(&certified)?;
        Ok(Self(Arc::new(SingleCertAndKey::from(certified))))
    }

    /// What rustls asks for a certificate.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.0) as Arc<dyn ResolvesClientCert>
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity(…)")
    }
}

fn check_match(certified: &CertifiedKey) -> Result<()> {
    match certified.keys_match() {
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        // Version 1, which OpenSSL makes where no extension is asked for: rustls sends it and can't read it.
        Err(TlsError::InvalidCertificate(CertificateError::Other(_))) if contains_public_key(certified) => {
            Ok(())
        }
        Err(TlsError::InvalidCertificate(CertificateError::BadEncoding)) => {
            Err(refuse("the device's certificate can't be read"))
        }
        Err(_) => Err(refuse("the device's certificate and private key do not belong together")),
    }
}

fn contains_public_key(certified: &CertifiedKey) -> bool {
    let Some(public_key) = certified.key.public_key() else { return true };
    certified.cert.first().is_some_and(|certificate| {
        certificate.windows(public_key.len()).any(|part| part == public_key.as_ref())
    })
}

fn refuse(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::TlsOption, text)
}

fn private_key(pem: &[u8], pass_phrase: Option<&[u8]>) -> Result<PrivateKeyDer<'static>> {
    let text = String::from_utf8_lossy(pem);
    if let Some((_, rest)) = text.split_once(ENCRYPTED.0) {
        let body = rest.split_once(ENCRYPTED.1).map_or(rest, |(body, _)| body);
        return decrypted(body, pass_phrase);
    }
    if text.contains(LEGACY_ENCRYPTED) {
        let text = format!(
            "the private key is encrypted in the old way of OpenSSL, which is not supported; convert it with {TO_PKCS8}"
        );
        return Err(refuse(text));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        refuse("no PEM private key is in what was given as the device's key").caused_by(error)
    })
}

/// The key in the base64 body of an encrypted PKCS#8 text.
fn decrypted(body: &str, pass_phrase: Option<&[u8]>) -> Result<PrivateKeyDer<'static>> {
    let Some(pass_phrase) = pass_phrase else {
        return Err(refuse("the private key is encrypted, and no pass phrase is given"));
    };
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|error| {
        refuse("the encrypted private key is not valid PEM; copy it as a whole").caused_by(error)
    })?;
    let undecipherable = |error: pkcs8::Error| {
        let text = format!(
            "the private key can't be decrypted: the pass phrase is wrong, or it is encrypted in a way that is not \
             supported, and {TO_PKCS8} helps"
        );
        refuse(text).caused_by(error)
    };
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(&der[..]).map_err(undecipherable)?;
    let key = encrypted.decrypt(pass_phrase).map_err(undecipherable)?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
