//! Where the password of a CONNECT comes from, and when it has to be renewed.

use std::time::Duration;

use crate::auth::SasKey;

/// The longest time before expiry at which a token is renewed.
const LONGEST_MARGIN: Duration = Duration::from_secs(120);
/// Two renewals are at least this far apart, however short-lived the tokens are.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);

/// What the hub is shown.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A shared access key: tokens are made from it and renewed before they expire.
    Key {
        /// The key.
        key: SasKey,
        /// How long a token is valid.
        ttl: Duration,
    },
}

/// A password, and when the connection made with it has to be renewed.
pub(super) struct Password {
    pub(super) text: String,
    pub(super) renew_unix_millis: Option<u64>,
}

impl Credentials {
    /// A key with tokens of one hour, as in the official package.
    #[must_use]
    pub fn key(key: SasKey) -> Self {
        Self::Key { key, ttl: Duration::from_secs(3600) }
    }

    /// A password for this resource, valid from now on.
    pub(super) fn password(&self, resource: &str, now_unix_millis: u64) -> Password {
        let Self::Key { key, ttl } = self;
        let expires = now_unix_millis / 1000 + ttl.as_secs();
        let pause = renewal_pause(*ttl);
        Password {
            text: key.device_token(resource, expires),
            renew_unix_millis: Some(now_unix_millis + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Whether a refused password may be followed by a better one without the program's help.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self, Self::Key { .. })
    }
}

/// How long after its making a token is replaced: a fifth of its life before its end, at most two minutes.
fn renewal_pause(ttl: Duration) -> Duration {
    let margin = LONGEST_MARGIN.min(ttl / 5);
    ttl.saturating_sub(margin).max(SHORTEST_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_a_fifth_of_its_life_or_two_minutes_before_its_end_and_never_twice_in_five_seconds()
    {
        let pause = |seconds| renewal_pause(Duration::from_secs(seconds)).as_secs();
        assert_eq!(pause(3600), 3480);
        assert_eq!(pause(100), 80);
        assert_eq!(pause(10), 8);
        assert_eq!(pause(3), 5);
        assert_eq!(pause(0), 5);
    }
}
