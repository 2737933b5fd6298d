//! Where the next page of a query or list begins: a token that only the hub reads.
//!
//! It names the last row that was given, so pages stay true while identities come and go. It belongs to its query: with
//! another one it would lead to a wrong answer, and is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hub::error::HubError;

#[derive(Serialize, Deserialize)]
pub(in crate::hub) struct Continuation {
    query: String,
    /// The name of the last row's identity, or its group's key.
    pub(in crate::hub) after: String,
    /// How many rows were given so far: TOP counts all pages.
    pub(in crate::hub) given: usize,
}

impl Continuation {
    pub(in crate::hub) fn new(query: &str, after: String, given: usize) -> Self {
        Self { query: fingerprint(query), after, given }
    }

    pub(in crate::hub) fn read(token: &str, query: &str) -> Result<Self, HubError> {
        let read = |token: &str| serde_json::from_slice::<Self>(&URL_SAFE_NO_PAD.decode(token).ok()?).ok();
        let own = read(token).filter(|read| read.query == fingerprint(query));
        own.ok_or_else(|| HubError::invalid("The continuation is none that this hub gave for this query."))
    }

    pub(in crate::hub) fn token(&self) -> Result<String, HubError> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?))
    }
}

fn fingerprint(query: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(query)[..12])
}
