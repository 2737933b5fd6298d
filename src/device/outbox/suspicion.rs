//! Finds the message that a hub will never take, so that those behind it don't wait for ever.
//!
//! MQTT 3.1.1 has no word for a refusal: the hub ends the connection, the session sends the message again, and so on.
//! But connections end for many reasons, and no message may be given up for those. So one that was first in flight on
//! several lost connections is tried alone: it is refused only if a connection stays up without it for a while, and ends
//! within that while when it is sent, unacknowledged, each time.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::sleep;

use super::feed::Feed;
use super::keeper::Job;

/// After so many lost connections in a row a message is tried alone.
const CONNECTIONS: u32 = 3;
/// How often: chance alone is no reason to give it up.
const ATTEMPTS: u32 = 5;
/// How long a connection must stay up without it, unless attempts to connect come faster.
const QUIET: Duration = Duration::from_secs(10);

/// How many connections in a row have ended with the same message first in flight.
#[derive(Default)]
pub(super) struct Suspicion {
    first: Option<u64>,
    connections: u32,
}

impl Suspicion {
    /// A connection was lost with this message first in flight; whether it is time to try it alone.
    fn grows(&mut self, first: Option<u64>) -> bool {
        if self.first != first {
            *self = Self { first, connections: 0 };
        }
        self.connections += u32::from(first.is_some());
        self.connections >= CONNECTIONS
    }
}

impl Feed {
    /// There is a connection, or none any more.
    pub(super) async fn connection_changed(&mut self) {
        let lost = !self.shared.is_connected();
        // Without retry it is the program that connects again, or not.
        if lost && self.options.connection_retry && self.suspicion.grows(self.shelf.first_in_flight()) {
            self.try_alone().await;
            self.suspicion = Suspicion::default();
        }
    }

    async fn try_alone(&mut self) {
        for _ in 0..ATTEMPTS {
            self.shelf.take_all_back();
            if !self.connection_stays_up().await {
                return;
            }
            self.hand_over(1);
            if !self.connection_ends().await {
                return;
            }
        }
        self.shelf.take_all_back();
        if let Some(refused) = self.shelf.drop_oldest() {
            // Without its thread there is nobody to tell.
            let _ = self.jobs.send(Job::Refused(refused));
        }
    }

    /// Wait for a connection, and see whether it stays up without messages. What the program asks for meanwhile may
    /// need an attempt of its own.
    async fn connection_stays_up(&mut self) -> bool {
        self.asked.mark_unchanged();
        while !self.shared.is_connected() {
            tokio::select! {
                _ = self.changes.changed() => {}
                _ = self.asked.changed() => return false,
                () = self.requests.closed() => return false,
            }
        }
        self.changes.mark_unchanged();
        let a_while = sleep(self.a_while());
        tokio::select! {
            _ = self.changes.changed() => false,
            () = a_while => true,
            () = self.requests.closed() => false,
        }
    }

    fn a_while(&self) -> Duration {
        self.options.connection_retry_interval.min(QUIET)
    }

    /// Whether the connection ends soon, and before the message is acknowledged.
    async fn connection_ends(&mut self) -> bool {
        let a_while = sleep(self.a_while());
        let settled = tokio::select! {
            biased;
            settled = poll_fn(|context| self.shelf.poll_settled(context)) => settled,
            _ = self.changes.changed() => return true,
            () = a_while => return false,
            () = self.requests.closed() => return false,
        };
        // Taken, or the session gave up: that is on the shelf again, and shows at the next attempt.
        self.settle(settled);
        false
    }
}
