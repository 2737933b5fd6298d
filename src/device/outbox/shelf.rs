//! What is in memory of the outbox: messages read from the file, and those the session has.
//!
//! The keeper's thread puts messages on, the feed takes them in their order, and either may take one off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use super::record::Stored;
use crate::error::Error;
use crate::mqtt::Receipt;

/// What became of accepted messages, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// In the outbox now.
    pub stored: u64,
    /// The bytes of these, properties and payload.
    pub stored_bytes: u64,
    /// Given up because they were older than the time to live.
    pub expired: u64,
    /// Given up to make room for newer ones.
    pub dropped: u64,
    /// Given up because the hub will not take them.
    pub refused: u64,
    /// Handed to the session and taken back without an outcome; its own counts take these for failures.
    pub(in crate::device) taken_back: u64,
}

impl OutboxCounts {
    pub(super) fn uncount(&mut self, leaving: &Leaving) {
        self.stored -= 1;
        self.stored_bytes -= leaving.bytes;
    }
}

/// A message that leaves the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

impl From<&Stored> for Leaving {
    fn from(stored: &Stored) -> Self {
        Self { number: stored.number, bytes: stored.message.size() }
    }
}

/// What [`Shelf::poll_settled`] brings.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The hub has these.
    pub(super) delivered: Vec<Leaving>,
    /// Why the session gave up; what it had is on the shelf again.
    pub(super) failure: Option<Error>,
}

struct Sending {
    stored: Stored,
    receipt: Receipt,
}

#[derive(Default)]
struct State {
    /// To be sent next.
    waiting: VecDeque<Stored>,
    /// The session has these; all come before those that wait.
    sending: VecDeque<Sending>,
    /// Taken off, and the keeper has not heard of it yet.
    leaving: VecDeque<u64>,
    counts: OutboxCounts,
}

/// Between the keeper and the feed.
#[derive(Default)]
pub(super) struct Shelf {
    state: Mutex<State>,
    /// Tells the feed that there is something new on the shelf, or less.
    pub(super) changed: Notify,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> OutboxCounts {
        self.lock().counts
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut OutboxCounts)) {
        change(&mut self.lock().counts);
    }

    /// How many wait here.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Put on what comes after all that is here.
    pub(super) fn put(&self, messages: impl IntoIterator<Item = Stored>) {
        self.lock().waiting.extend(messages);
        self.changed.notify_one();
    }

    /// The number of the oldest message here, or on its way to the keeper.
    pub(super) fn oldest(&self) -> Option<u64> {
        let state = self.lock();
        let sending = state.sending.front().map(|sending| &sending.stored);
        let here = sending.or(state.waiting.front()).map(|stored| stored.number);
        state.leaving.iter().copied().chain(here).min()
    }

    /// The keeper has heard that these have been taken off.
    pub(super) fn left(&self, messages: &[Leaving]) {
        let mut state = self.lock();
        for leaving in messages {
            state.counts.uncount(leaving);
            // They come in the order in which they were taken off, but for what the keeper takes off itself.
            if let Some(at) = state.leaving.iter().position(|number| *number == leaving.number) {
                state.leaving.remove(at);
            }
        }
    }

    /// Let the session have the next messages while it has fewer than `window`; `hand_over` gives a receipt for each.
    /// Those accepted before `oldest` stay: they have expired.
    pub(super) fn hand_over(
        &self,
        window: usize,
        oldest: u64,
        mut hand_over: impl FnMut(&Stored) -> Option<Receipt>,
    ) {
        let mut state = self.lock();
        while state.sending.len() < window {
            let next = state.waiting.front().filter(|stored| stored.message.accepted >= oldest);
            let Some(receipt) = next.and_then(&mut hand_over) else { return };
            if let Some(stored) = state.waiting.pop_front() {
                state.sending.push_back(Sending { stored, receipt });
            }
        }
    }

    /// Wait for outcomes of what the session has; the first failure takes everything back from it.
    pub(super) fn poll_settled(&self, context: &mut Context<'_>) -> Poll<Settled> {
        let mut state = self.lock();
        let mut settled = Settled::default();
        while let Some(first) = state.sending.front_mut() {
            match Pin::new(&mut first.receipt).poll(context) {
                Poll::Pending => break,
                Poll::Ready(Ok(_)) => {
                    let leaving = Leaving::from(&first.stored);
                    settled.delivered.push(leaving);
                    state.leaving.push_back(leaving.number);
                    state.sending.pop_front();
                }
                Poll::Ready(Err(error)) => {
                    settled.failure = Some(error);
                    state.take_back(context, &mut settled);
                }
            }
        }
        if settled.delivered.is_empty() && settled.failure.is_none() {
            return Poll::Pending;
        }
        Poll::Ready(settled)
    }

    /// The first message that the session has.
    pub(super) fn first_in_flight(&self) -> Option<u64> {
        self.lock().sending.front().map(|sending| sending.stored.number)
    }

    /// Take everything back from the session; what is on the wire may arrive, and is not repeated.
    pub(super) fn take_all_back(&self) {
        let mut state = self.lock();
        let State { waiting, sending, counts, .. } = &mut *state;
        for Sending { stored, .. } in sending.drain(..).rev() {
            counts.taken_back += 1;
            waiting.push_front(stored);
        }
    }

    /// Take off the oldest message that is not on the wire.
    pub(super) fn drop_oldest(&self) -> Option<Leaving> {
        let mut state = self.lock();
        let withdrawn = state.sending.iter().position(|sending| sending.receipt.withdraw());
        if let Some(withdrawn) = withdrawn.and_then(|at| state.sending.remove(at)) {
            state.counts.taken_back += 1;
            self.changed.notify_one();
            return Some(state.leave(&withdrawn.stored));
        }
        let oldest = state.waiting.pop_front()?;
        Some(state.leave(&oldest))
    }

    /// Take off what was accepted before `oldest` and is not on the wire.
    pub(super) fn expire(&self, oldest: u64) -> Vec<Leaving> {
        let mut state = self.lock();
        let State { waiting, sending, counts, leaving } = &mut *state;
        let mut expired: Vec<Leaving> = Vec::new();
        sending.retain(|sending| {
            let gone = sending.stored.message.accepted < oldest && sending.receipt.withdraw();
            if gone {
                counts.taken_back += 1;
                expired.push((&sending.stored).into());
            }
            !gone
        });
        let old = waiting.iter().take_while(|stored| stored.message.accepted < oldest).count();
        expired.extend(waiting.drain(..old).map(|stored| Leaving::from(&stored)));
        leaving.extend(expired.iter().map(|leaving| leaving.number));
        if !expired.is_empty() {
            self.changed.notify_one();
        }
        expired
    }
}

impl State {
    fn leave(&mut self, stored: &Stored) -> Leaving {
        self.leaving.push_back(stored.number);
        stored.into()
    }

    fn take_back(&mut self, context: &mut Context<'_>, settled: &mut Settled) {
        let mut first = true;
        let mut back = VecDeque::new();
        for Sending { stored, mut receipt } in std::mem::take(&mut self.sending) {
            // The outcome of the first has been seen.
            let outcome = if first { Poll::Pending } else { Pin::new(&mut receipt).poll(context) };
            first = false;
            if matches!(outcome, Poll::Ready(Ok(_))) {
                settled.delivered.push(self.leave(&stored));
            } else {
                self.counts.taken_back += 1;
                back.push_back(stored);
            }
        }
        back.append(&mut self.waiting);
        self.waiting = back;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::device::outbox::record::Message;

    #[test]
    fn a_message_counts_until_the_keeper_has_heard_that_it_was_taken_off() {
        let shelf = Shelf::default();
        let message = Message { accepted: 1, properties: String::new(), payload: Bytes::from_static(b"x") };
        shelf.put((3..5).map(|number| Stored { number, message: message.clone() }));
        shelf.count(|counts| (counts.stored, counts.stored_bytes) = (2, 2));
        let off = shelf.drop_oldest().unwrap();
        assert_eq!((shelf.oldest(), shelf.counts().stored), (Some(3), 2), "a flush would end too early");
        shelf.left(&[off]);
        assert_eq!((shelf.oldest(), shelf.counts().stored), (Some(4), 1));
    }
}
