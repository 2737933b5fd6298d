//! Verifiers of certificates, one for all clients that trust the same: the system's roots alone take 90 KB, and a
//! program may have a thousand clients.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Roots;
use super::system::SystemRoots;
use super::trusted::Verifier;
use crate::error::Result;

/// Whom a verifier trusts.
#[derive(PartialEq, Eq)]
pub(super) struct Trust {
    pub(super) roots: Roots,
    /// Where the system's roots are, if they are trusted.
    pub(super) system: SystemRoots,
    /// PEM text of the local hub's CA; empty for hosts that it may not vouch for.
    pub(super) local_ca: Vec<u8>,
}

/// Those that a client still has.
static KNOWN: Mutex<Vec<(Trust, Weak<Verifier>)>> = Mutex::new(Vec::new());

/// The verifier that trusts these, made now if no client has it.
pub(super) fn shared(
    trust: Trust,
    make: impl FnOnce(&Trust) -> Result<Arc<Verifier>>,
) -> Result<Arc<Verifier>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(_, verifier)| verifier.strong_count() > 0);
    let same = known.iter().find(|(other, _)| *other == trust);
    if let Some(verifier) = same.and_then(|(_, verifier)| verifier.upgrade()) {
        return Ok(verifier);
    }
    let verifier = make(&trust)?;
    known.push((trust, Arc::downgrade(&verifier)));
    Ok(verifier)
}
