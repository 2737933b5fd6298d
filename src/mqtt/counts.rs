//! What became of messages, in numbers.

use std::sync::{Arc, Mutex, PoisonError};

use super::request::{Operation, Request};

/// How many messages took which way; calls and subscriptions are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Written to a connection, each once however often it was repeated.
    pub sent: u64,
    /// Acknowledged by the hub.
    pub acknowledged: u64,
    /// Ended with an error: refused, late, cancelled.
    pub failed: u64,
    /// Waiting to be written.
    pub queued: u64,
    /// Written, and neither acknowledged nor failed.
    pub in_flight: u64,
}

impl MessageCounts {
    /// One that was queued has been written.
    pub(super) fn write<P>(&mut self, request: &Request<P>) {
        if is_message(request) {
            self.queued -= 1;
            self.sent += 1;
            self.in_flight += 1;
        }
    }

    /// One that was queued has failed.
    pub(super) fn lose_queued<P>(&mut self, request: &Request<P>) {
        if is_message(request) {
            self.queued -= 1;
            self.failed += 1;
        }
    }

    /// One that was in flight has failed.
    pub(super) fn lose_in_flight<P>(&mut self, request: &Request<P>) {
        if is_message(request) {
            self.in_flight -= 1;
            self.failed += 1;
        }
    }
}

/// The counts as the connection writes them and others read them: a caller who has an outcome finds it counted.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<MessageCounts>>);

impl Tally {
    /// The counts of this moment.
    #[must_use]
    pub fn now(&self) -> MessageCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut MessageCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether a request is one of those that are counted.
pub(super) fn is_message<P>(request: &Request<P>) -> bool {
    matches!(request.operation, Operation::Publish(_))
}
