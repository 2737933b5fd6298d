//! The tokens that a connection has shown: whoever holds it may do what one of them allows, until it expires.

use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::SasToken;
use crate::hub::HubState;
use crate::hub::access::{Denied, Right};

/// Tokens are replaced by newer ones of the same policy and resource; nobody needs many.
const MOST_TOKENS: usize = 16;

/// The tokens of one connection. Clones are handles to the same.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<Vec<SasToken>>>);

impl Claims {
    /// Take a token of a shared access policy: one that it signed, for this hub, and that has not expired.
    pub(super) fn add(&self, token: SasToken, hub: &HubState) -> Result<(), Denied> {
        hub.access.check_signature(&token, hub.clock.unix_seconds())?;
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|known| (&known.policy, &known.resource) != (&token.policy, &token.resource));
        if tokens.len() == MOST_TOKENS {
            tokens.remove(0);
        }
        tokens.push(token);
        Ok(())
    }

    /// Whether one of the tokens has this right now.
    pub(super) fn check(&self, right: Right, resource: &[&str], hub: &HubState) -> Result<(), Denied> {
        let now = hub.clock.unix_seconds();
        let mut denied = Denied("the connection has shown no token");
        for token in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            match hub.access.check_policy(token, right, resource, now) {
                Ok(()) => return Ok(()),
                Err(reason) => denied = reason,
            }
        }
        Err(denied)
    }
}
