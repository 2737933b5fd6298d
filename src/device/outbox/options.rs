//! What an outbox is made from, declared once for every language and facade.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;

/// What to do with a message for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Wait until there is, at most the call's time.
    #[default]
    Block,
    /// Refuse it at once.
    Raise,
    /// Give up the oldest that are not in flight; wait if all are.
    DropOldest,
}

/// Where a client keeps its telemetry until the hub has it, and how much.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// At most so many messages; None: any number.
    pub max_messages: Option<u64>,
    /// At most so many bytes of properties and payloads; None: any number.
    pub max_bytes: Option<u64>,
    /// What happens then.
    pub when_full: WhenFull,
    /// How long a message may wait; None: for ever.
    pub ttl: Option<Duration>,
}

impl OutboxOptions {
    /// What was accepted before this moment has expired, milliseconds since 1970.
    pub(super) fn oldest(&self, clock: &Clock) -> u64 {
        let ttl = self.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        ttl.map_or(0, |ttl| clock.unix_millis().saturating_sub(ttl))
    }
}
