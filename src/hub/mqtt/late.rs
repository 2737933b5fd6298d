//! Acknowledgements that a fault holds back for a while.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Packet ids in the order in which they are to be acknowledged.
#[derive(Default)]
pub(super) struct Late(VecDeque<(Instant, u16)>);

impl Late {
    /// Hold one back; it does not overtake those that are held back already.
    pub(super) fn add(&mut self, packet_id: u16, by: Duration) {
        let now = Instant::now();
        let due = now.checked_add(by).unwrap_or(now);
        let due = self.0.back().map_or(due, |(last, _)| due.max(*last));
        self.0.push_back((due, packet_id));
    }

    /// Resolve when the first is due; never if there is none. Cancel safe.
    pub(super) async fn due(&self) {
        match self.0.front() {
            Some((due, _)) => sleep_until(*due).await,
            None => pending().await,
        }
    }

    /// Take the first.
    pub(super) fn take(&mut self) -> Option<u16> {
        self.0.pop_front().map(|(_, packet_id)| packet_id)
    }
}
