//! Wall-clock time that tests can move: expiry and renewal of tokens, timestamps of the hub.
//!
//! Pauses and time-outs use tokio's clock (which tests pause); everything that compares with a moment
//! in the world, such as a token's expiry, asks a [`Clock`].

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// How long a wait for a moment sleeps at most before it looks at the clock again: a laptop that was
/// suspended finds its token expired within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Wall-clock time in milliseconds since 1970, from the system or set by hand.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// The system's time, and milliseconds that are added to it.
    Shifted(Arc<watch::Sender<i64>>),
    Manual(Arc<watch::Sender<u64>>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that goes as the system's does, and can be moved.
    #[must_use]
    pub fn movable() -> Self {
        Self(Source::Shifted(Arc::default()))
    }

    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn manual(unix_millis: u64) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(unix_millis))))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        match &self.0 {
            Source::System => system_millis(),
            Source::Shifted(shift) => system_millis().saturating_add_signed(*shift.borrow()),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_millis() / 1000
    }

    /// Move a clock forward; the system's stays as it is.
    pub fn advance(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Move a clock by milliseconds, back if they are negative; the system's stays as it is.
    pub fn shift(&self, millis: i64) {
        match &self.0 {
            Source::System => {}
            Source::Shifted(shift) => shift.send_modify(|shift| *shift = shift.saturating_add(millis)),
            Source::Manual(now) => now.send_modify(|now| *now = now.saturating_add_signed(millis)),
        }
    }

    /// How long until this moment; none if it has come.
    fn remaining(&self, unix_millis: u64) -> Option<Duration> {
        let remaining = unix_millis.saturating_sub(self.unix_millis());
        (remaining > 0).then(|| Duration::from_millis(remaining))
    }

    /// Resolve when the clock shows this moment or a later one, also after the machine was suspended.
    pub async fn sleep_until(&self, unix_millis: u64) {
        match &self.0 {
            Source::System => {
                while let Some(remaining) = self.remaining(unix_millis) {
                    tokio::time::sleep(remaining.min(LOOK_AGAIN)).await;
                }
            }
            Source::Shifted(shift) => {
                let mut shifts = shift.subscribe();
                while let Some(remaining) = self.remaining(unix_millis) {
                    // Moved or not, it is time to look again.
                    let _ = tokio::time::timeout(remaining.min(LOOK_AGAIN), shifts.changed()).await;
                }
            }
            Source::Manual(now) => {
                // The sender lives in `self`, so the wait can't fail.
                let _ = now.subscribe().wait_for(|millis| *millis >= unix_millis).await;
            }
        }
    }
}

fn system_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_when_the_clock_is_moved_past_it() {
        let clock = Clock::manual(1_000);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(5_000).await;
                clock.unix_seconds()
            }
        });
        clock.advance(Duration::from_secs(3));
        clock.advance(Duration::from_secs(2));
        assert_eq!(waiting.await.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_movable_clock_goes_and_can_be_moved_both_ways() {
        let clock = Clock::movable();
        let before = clock.unix_millis();
        clock.shift(-5_000);
        assert!(clock.unix_millis() < before);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(before + 3_600_000).await }
        });
        clock.advance(Duration::from_secs(3_605));
        waiting.await.unwrap();
        assert!(clock.unix_millis() >= before + 3_600_000);
    }
}
