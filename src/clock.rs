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
    Manual(Arc<watch::Sender<u64>>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
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
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_millis() / 1000
    }

    /// Move a manual clock; a system clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.send_modify(|millis| *millis += u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Resolve when the clock shows this moment or a later one, also after the machine was suspended.
    pub async fn sleep_until(&self, unix_millis: u64) {
        match &self.0 {
            Source::System => loop {
                let remaining = unix_millis.saturating_sub(self.unix_millis());
                if remaining == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(remaining).min(LOOK_AGAIN)).await;
            },
            Source::Manual(now) => {
                // The sender lives in `self`, so the wait can't fail.
                let _ = now.subscribe().wait_for(|millis| *millis >= unix_millis).await;
            }
        }
    }
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
}
