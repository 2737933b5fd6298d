//! Keys that the hub makes, and which one its owner has.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::auth::SasKey;

/// Known to everyone who reads this: good for a hub that only this machine reaches, and for no other.
const WELL_KNOWN_KEY: &str = "FerroHub local development key, known to everyone";
/// How long keys are that the hub makes, in bytes.
const KEY_LENGTH: usize = 32;

/// Which key the policy `iothubowner` has. `Debug` never shows it.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum OwnerKey {
    /// One that is the same for every local hub, so that connection strings can be written down.
    #[default]
    WellKnown,
    /// One made for this hub; a data file keeps it.
    Random,
    /// This one, in base64.
    Given(String),
}

impl OwnerKey {
    /// The key of a new hub, in base64.
    pub(super) fn choose(&self) -> String {
        match self {
            Self::WellKnown => STANDARD.encode(WELL_KNOWN_KEY),
            Self::Random => new_key(),
            Self::Given(key) => key.clone(),
        }
    }

    /// Whether it is a given key that everyone knows, however its base64 is written.
    pub(super) fn is_given_well_known(&self) -> bool {
        let decoded = |text: &str| SasKey::from_base64(text).ok();
        matches!(self, Self::Given(key) if decoded(key) == decoded(&Self::WellKnown.choose()))
    }

    /// Whether the key that a data file holds is the one asked for.
    pub(super) fn accepts(&self, stored: &str) -> bool {
        match self {
            Self::WellKnown => stored == self.choose(),
            Self::Random => !Self::WellKnown.accepts(stored),
            Self::Given(key) => stored == key,
        }
    }
}

impl fmt::Debug for OwnerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WellKnown => "WellKnown",
            Self::Random => "Random",
            Self::Given(_) => "Given(…)",
        })
    }
}

/// A new random key, in base64.
#[must_use]
pub(super) fn new_key() -> String {
    STANDARD.encode(random_bytes::<KEY_LENGTH>())
}

/// Bytes nobody can guess.
#[must_use]
pub(super) fn random_bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let random = rustls::crypto::ring::default_provider().secure_random;
    // The system's generator fails only where no TLS connection could be made either; a key of zeros
    // must never come of it.
    assert!(random.fill(&mut bytes).is_ok(), "the system has no random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_accepted_only_where_it_was_asked_for() {
        let (well_known, random) = (OwnerKey::WellKnown.choose(), OwnerKey::Random.choose());
        assert_ne!(random, OwnerKey::Random.choose());
        assert!(OwnerKey::WellKnown.accepts(&well_known) && !OwnerKey::WellKnown.accepts(&random));
        assert!(OwnerKey::Random.accepts(&random) && !OwnerKey::Random.accepts(&well_known));
        let given = OwnerKey::Given(random.clone());
        assert!(given.accepts(&random) && !given.accepts(&well_known));
        assert!(!format!("{given:?}").contains(&random));
    }
}
