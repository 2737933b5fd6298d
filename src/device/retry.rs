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
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, attempts: 0 }
    }

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempts = self.attempts.saturating_add(1);
        ceiling.mul_f64(random_fraction())
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
fn random_fraction() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_none_to_the_chosen_interval_and_never_beyond() {
        let mut backoff = Backoff::new(Duration::from_secs(10));
        assert_eq!(backoff.next(), Duration::ZERO);
        for ceiling in [1, 2, 4, 8, 10, 10] {
            assert_eq!(backoff.ceiling(), Duration::from_secs(ceiling));
            assert!(backoff.next() <= Duration::from_secs(ceiling));
        }
        backoff.connection_lived(Duration::from_secs(1));
        assert_eq!(backoff.ceiling(), Duration::from_secs(10));
        backoff.connection_lived(Duration::from_secs(60));
        assert_eq!(backoff.next(), Duration::ZERO);
    }

    #[test]
    fn pauses_differ_between_clients() {
        let fractions: Vec<_> = (0..20).map(|_| random_fraction()).collect();
        assert!(fractions.iter().any(|fraction| (fraction - fractions[0]).abs() > f64::EPSILON));
        assert!(fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
    }
}
