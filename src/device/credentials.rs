//! Where the password of a CONNECT comes from, and when it has to be renewed.

use std::fmt;
use std::time::Duration;

use super::workload::Workload;
use crate::auth::{SasKey, UnsignedToken};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::Identity;

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
    /// The workload API of IoT Edge, which signs tokens: renewed as those of a key.
    Workload {
        /// Who signs.
        workload: Workload,
        /// How long a token is valid.
        ttl: Duration,
    },
    /// A token that the program has made. It is told in time to bring another.
    Token(Token),
    /// A certificate, shown in the TLS handshake; there is no password then.
    Certificate(Identity),
}

/// A shared access signature that the program has made; sent as it is, never shown.
#[derive(Clone)]
pub struct Token {
    text: String,
    expires_unix_seconds: u64,
}

impl Credentials {
    /// A key with tokens of one hour, as in the official package.
    #[must_use]
    pub fn key(key: SasKey) -> Self {
        Self::Key { key, ttl: Duration::from_secs(3600) }
    }

    /// The certificate to show, if there is one.
    pub(super) fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Certificate(identity) => Some(identity),
            Self::Key { .. } | Self::Workload { .. } | Self::Token(_) => None,
        }
    }

    /// A password for this resource, valid from now on; empty if none is needed. Only the workload API takes time.
    ///
    /// # Errors
    /// `ConnectionFailed` if that signs nothing: as without a hub, another attempt may help.
    pub(super) async fn password(&self, resource: &str, now_unix_millis: u64) -> Result<String> {
        let expiry = |ttl: &Duration| now_unix_millis / 1000 + ttl.as_secs();
        match self {
            Self::Key { key, ttl } => Ok(key.device_token(resource, expiry(ttl))),
            Self::Workload { workload, ttl } => {
                let token = UnsignedToken::new(resource, expiry(ttl));
                let signature = workload.sign(&token.text_to_sign()).await.map_err(|error| {
                    Error::new(ErrorKind::ConnectionFailed, "IoT Edge signed no token").caused_by(error)
                })?;
                Ok(token.signed(&signature))
            }
            Self::Token(token) => Ok(token.text.clone()),
            Self::Certificate(_) => Ok(String::new()),
        }
    }

    /// When a connection that is made with a password of this moment has to be renewed, if ever.
    pub(super) fn renewal_unix_millis(&self, now_unix_millis: u64) -> Option<u64> {
        match self {
            Self::Key { ttl, .. } | Self::Workload { ttl, .. } => {
                Some(now_unix_millis + millis(renewal_pause(*ttl)))
            }
            Self::Token(_) | Self::Certificate(_) => None,
        }
    }

    /// When the program has to be asked for another token.
    pub(super) fn token_due_unix_millis(&self, now_unix_millis: u64) -> Option<u64> {
        let Self::Token(token) = self else { return None };
        let expires = token.expires_unix_seconds.saturating_mul(1000);
        let life = Duration::from_millis(expires.saturating_sub(now_unix_millis));
        Some(now_unix_millis.saturating_add(millis(life.saturating_sub(margin(life)))))
    }

    /// Whether a refused password may be followed by a better one without the program's help.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self, Self::Key { .. } | Self::Workload { .. })
    }
}

impl Token {
    /// The text as the hub is to get it, and when it expires.
    #[must_use]
    pub fn new(text: String, expires_unix_seconds: u64) -> Self {
        Self { text, expires_unix_seconds }
    }

    /// The text as the hub is to get it.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// How long before its end a token is replaced: a fifth of its life, at most two minutes.
fn margin(life: Duration) -> Duration {
    LONGEST_MARGIN.min(life / 5)
}

/// How long after its making a token is replaced by one of ours.
fn renewal_pause(ttl: Duration) -> Duration {
    ttl.saturating_sub(margin(ttl)).max(SHORTEST_INTERVAL)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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

    #[test]
    fn the_program_is_asked_for_another_token_a_fifth_of_its_life_or_two_minutes_before_its_end() {
        let due = |expires| {
            let credentials = Credentials::Token(Token::new("t".into(), expires));
            credentials.token_due_unix_millis(1_000_000).unwrap()
        };
        assert_eq!(due(4600), 4_480_000);
        assert_eq!(due(1010), 1_008_000);
        assert_eq!(due(5), 1_000_000, "it has expired already");
        assert_eq!(due(u64::MAX), u64::MAX - 120_000);
    }

    #[test]
    fn a_token_is_never_shown() {
        let credentials = Credentials::Token(Token::new("SharedAccessSignature sig=x".into(), 1));
        assert!(!format!("{credentials:?}").contains("sig="));
    }
}
