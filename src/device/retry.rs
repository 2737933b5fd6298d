//! How long to wait before the next attempt to connect.
//!
//! 0, 1, 2, 4 … seconds with full jitter, never longer than the interval the program chose: a lone client
//! is back at once, and a fleet that lost its hub doesn't return in one wave.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A connection that lived this long counts as good: the next loss starts over without a pause.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// The pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    attempts: u32,
    /// From 0 to 1: how much of a pause is kept.
    jitter: fn() -> f64,
}

impl Backoff {
    pub(super) fn new(longest: Duration, jitter: fn() -> f64) -> Self {
        Self { longest, attempts: 0, jitter }
    }

    /// The pause before the next attempt when the connection was lost: none at first.
    pub(super) fn after_loss(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempts = self.attempts.saturating_add(1);
        ceiling.mul_f64((self.jitter)())
    }

    /// The pause before the next attempt when one has failed: never none.
    pub(super) fn after_failure(&mut self) -> Duration {
        self.attempts = self.attempts.max(1);
        self.after_loss()
    }

    fn ceiling(&self) -> Duration {
        match self.attempts {
            0 => Duration::ZERO,
            attempts => Duration::from_secs(1 << (attempts - 1).min(20)).min(self.longest),
        }
    }

    /// A connection ended after this time.
    pub(super) fn connection_lived(&mut self, time: Duration) {
        if time >= GOOD_AFTER {
            self.attempts = 0;
        }
    }

    /// The program asked to connect: start over.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// From 0 to 1; each new hasher state of the standard library is random.
pub(super) fn random_fraction() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_none_to_the_chosen_interval_and_never_beyond() {
        let mut backoff = Backoff::new(Duration::from_secs(10), random_fraction);
        assert_eq!(backoff.after_loss(), Duration::ZERO);
        for ceiling in [1, 2, 4, 8, 10, 10] {
            assert_eq!(backoff.ceiling(), Duration::from_secs(ceiling));
            assert!(backoff.after_failure() <= Duration::from_secs(ceiling));
        }
        backoff.connection_lived(Duration::from_secs(1));
        assert_eq!(backoff.ceiling(), Duration::from_secs(10));
        backoff.connection_lived(Duration::from_secs(60));
        assert_eq!(backoff.after_loss(), Duration::ZERO);
    }

    #[test]
    fn a_failed_attempt_is_never_followed_by_another_at_once() {
        let mut backoff = Backoff::new(Duration::from_secs(10), || 1.0);
        backoff.reset();
        assert_eq!(backoff.after_failure(), Duration::from_secs(1));
    }

    #[test]
    fn pauses_differ_between_clients() {
        let fractions: Vec<_> = (0..20).map(|_| random_fraction()).collect();
        assert!(fractions.iter().any(|fraction| (fraction - fractions[0]).abs() > f64::EPSILON));
        assert!(fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
    }
}
