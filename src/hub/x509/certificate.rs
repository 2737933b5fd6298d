//! What a client has shown: its certificate and the chain that came with it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::time::Time;

use super::signature;
use crate::hub::access::Denied;

/// A client's certificate, of which the client has the private key. Cheap to clone.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Shown>);

struct Shown {
    /// The client's own first.
    chain: Vec<CertificateDer<'static>>,
    common_name: String,
    valid_from: u64,
    valid_until: u64,
}

impl ClientCertificate {
    /// The certificate at the head of this chain; `None` if there is none that can be read.
    #[must_use]
    pub fn read(chain: &[CertificateDer<'static>]) -> Option<Self> {
        let certificate = signature::read(chain.first()?).ok()?;
        let certificate = certificate.tbs_certificate();
        let common_name = certificate.subject().common_name().ok().flatten();
        let unix_seconds = |time: Time| time.to_unix_duration().as_secs();
        Some(Self(Arc::new(Shown {
            chain: chain.to_vec(),
            common_name: common_name.map(|name| name.value().into_owned()).unwrap_or_default(),
            valid_from: unix_seconds(certificate.validity().not_before),
            valid_until: unix_seconds(certificate.validity().not_after),
        })))
    }

    /// The certificate itself, and those that came with it.
    #[must_use]
    pub fn chain(&self) -> (&CertificateDer<'static>, &[CertificateDer<'static>]) {
        // Never empty: `read` has looked at the first.
        (&self.0.chain[0], &self.0.chain[1..])
    }

    /// The common name of its subject; empty without one.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.0.common_name
    }

    /// When it ends, seconds since 1970.
    #[must_use]
    pub fn valid_until(&self) -> u64 {
        self.0.valid_until
    }

    /// Its SHA-256 thumbprint, in hex.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        format!("{:X}", Bytes::copy_from_slice(&Sha256::digest(self.chain().0)))
    }

    /// Whether this is its thumbprint: SHA-1 or SHA-256 in hex, upper or lower case.
    #[must_use]
    pub fn has_thumbprint(&self, thumbprint: &str) -> bool {
        let certificate = self.chain().0;
        let own = match thumbprint.len() {
            40 => Bytes::copy_from_slice(&Sha1::digest(certificate)),
            64 => Bytes::copy_from_slice(&Sha256::digest(certificate)),
            _ => return false,
        };
        format!("{own:x}").eq_ignore_ascii_case(thumbprint)
    }

    /// Check that it is valid at this time.
    ///
    /// # Errors
    /// [`Denied`] if it is too early or too late.
    pub fn check_time(&self, unix_seconds: u64) -> Result<(), Denied> {
        if unix_seconds < self.0.valid_from {
            return Err(Denied("the certificate is not valid yet"));
        }
        // RFC 5280, section 4.1.2.5: the last second is included.
        if unix_seconds > self.0.valid_until {
            return Err(Denied("the certificate has expired"));
        }
        Ok(())
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClientCertificate({:?})", self.common_name())
    }
}
