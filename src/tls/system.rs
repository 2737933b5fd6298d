//! The certificates that this system trusts, or those that the environment names in their place.

use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};

use super::trusted::Trusted;

const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where they are, by the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SystemRoots([Option<OsString>; 2]);

impl SystemRoots {
    /// Where they are now: a program may set the variables before it makes a client.
    pub(super) fn named() -> Self {
        Self(VARIABLES.map(std::env::var_os))
    }

    /// Read once as long as they are in the same place: it costs milliseconds, and a program may have a thousand clients.
    pub(super) fn certificates(&self) -> Trusted {
        static LAST: Mutex<Option<(SystemRoots, Trusted)>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, trusted)) = last.as_ref().filter(|(place, _)| place == self) {
            return trusted.clone();
        }
        let trusted = Trusted::new(&rustls_native_certs::load_native_certs().certs);
        *last = Some((self.clone(), trusted.clone()));
        trusted
    }
}
