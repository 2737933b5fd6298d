//! What comes into the outbox: messages are stored in the order of the calls, as far as there is room, and many with one
//! commit.

use std::collections::VecDeque;
use std::time::Instant;

use super::keeper::{Acceptance, BATCH, BYTES, Keeper, READ_AHEAD, complete};
use super::options::WhenFull;
use super::record::Stored;
use crate::error::{Error, ErrorKind};
use crate::mqtt::Promise;

impl Keeper {
    /// Store what has arrived, as far as there is room, in its order.
    pub(super) fn admit(&mut self) {
        loop {
            let batch = self.next_batch();
            if batch.is_empty() {
                return;
            }
            self.store(batch);
        }
    }

    /// What can be stored with the next commit; its place is taken already.
    fn next_batch(&mut self) -> VecDeque<(Stored, Promise)> {
        let mut batch = VecDeque::new();
        let mut bytes = 0;
        while batch.len() < BATCH && bytes < BYTES {
            let Some(next) = self.arriving.front() else { break };
            let size = next.message.size();
            let full = !next.promise.is_abandoned() && !self.has_room(size);
            let when_full = self.options.when_full;
            if full && when_full == WhenFull::DropOldest && self.drop_oldest(&mut batch) {
                continue;
            }
            if full && when_full != WhenFull::Raise {
                break;
            }
            let Some(Acceptance { message, promise, .. }) = self.arriving.pop_front() else { break };
            if full {
                promise.complete(Err(self.full()));
            } else if promise.written() {
                // From here on its caller can't withdraw it.
                self.shelf.count(|counts| {
                    counts.stored += 1;
                    counts.stored_bytes += size;
                });
                batch.push_back((Stored { number: self.next_number, message }, promise));
                self.next_number += 1;
                bytes += size;
            }
        }
        batch
    }

    fn has_room(&self, size: u64) -> bool {
        let counts = self.shelf.counts();
        let fits = |most: Option<u64>, used: u64, more: u64| most.is_none_or(|most| used + more <= most);
        fits(self.options.max_messages, counts.stored, 1)
            && fits(self.options.max_bytes, counts.stored_bytes, size)
    }

    /// Give up the oldest message that is not on the wire; it may be one of the batch. Whether there was one.
    fn drop_oldest(&mut self, batch: &mut VecDeque<(Stored, Promise)>) -> bool {
        if self.shelf.waiting() == 0 {
            self.refill();
        }
        if let Some(oldest) = self.shelf.drop_oldest() {
            self.leave(&[oldest]);
        } else if let Some((stored, promise)) = batch.pop_front() {
            self.shelf.count(|counts| counts.uncount(&(&stored).into()));
            complete([promise], &Ok(()));
        } else {
            return false;
        }
        self.shelf.count(|counts| counts.dropped += 1);
        true
    }

    fn store(&mut self, batch: VecDeque<(Stored, Promise)>) {
        let (stored, promises): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        if let Err(error) = self.access.commit(&stored, &self.leaving, self.next_number, &*self.tell) {
            self.next_number = self.stored_until;
            for stored in &stored {
                self.shelf.count(|counts| counts.uncount(&stored.into()));
            }
            return complete(promises, &Err(error));
        }
        self.left();
        complete(promises, &Ok(()));
        let all_read = self.next_read == self.stored_until;
        self.stored_until = self.next_number;
        if all_read {
            let room = READ_AHEAD.saturating_sub(self.shelf.waiting());
            let shown: Vec<_> = stored.into_iter().take(room).collect();
            self.show(shown);
        }
    }

    /// Tell those whose time is over that there was no room.
    pub(super) fn end_late(&mut self, now: Instant) {
        let is_late = |acceptance: &Acceptance| acceptance.deadline.is_some_and(|deadline| deadline <= now);
        if self.arriving.iter().any(is_late) {
            let error = self.full().with_kind(ErrorKind::Timeout);
            let arriving = std::mem::take(&mut self.arriving);
            let (late, rest): (Vec<_>, Vec<_>) = arriving.into_iter().partition(is_late);
            self.arriving = rest.into();
            complete(late.into_iter().map(|acceptance| acceptance.promise), &Err(error));
        }
    }

    fn full(&self) -> Error {
        let counts = self.shelf.counts();
        let text =
            format!("{} with {} bytes leave no room (never stored)", counts.stored, counts.stored_bytes);
        self.problem(ErrorKind::OutboxFull, &text)
    }
}
