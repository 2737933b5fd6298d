//! The outbox's thread: the only one that touches its file.
//!
//! Everything that has been asked for meanwhile shares one commit, so many callers wait for one disk write. What comes
//! in stands in `admission`; what the hub has is removed with the next commit, or a moment later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::access::Access;
use super::file::Contents;
use super::options::OutboxOptions;
use super::record::{Message, Stored};
use super::shelf::{Leaving, Shelf};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::mqtt::Promise;

/// How much is read from the file at a time, and how much a commit holds at most.
pub(super) const READ_AHEAD: usize = 256;
pub(super) const BATCH: usize = 4096;
pub(super) const BYTES: u64 = 4 << 20;
/// How long what the hub has may stay in the file: after a crash it is sent again.
const REMOVE_WITHIN: Duration = Duration::from_millis(50);
/// How often to look when nothing happens: at the clock, and whether a broken file can be used again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the keeper is asked to do.
pub(super) enum Job {
    Accept(Acceptance),
    /// The hub has these.
    Delivered(Vec<Leaving>),
    /// The hub will not take this one.
    Refused(Leaving),
    /// Done when all that was accepted until now has left the outbox.
    Flush(Flush),
    Close(Promise),
}

/// A message that a caller wants stored, at most until its deadline.
pub(super) struct Acceptance {
    pub(super) message: Message,
    pub(super) promise: Promise,
    pub(super) deadline: Option<Instant>,
}

/// A caller who waits until all is delivered, at most until its deadline.
pub(super) struct Flush {
    pub(super) promise: Promise,
    pub(super) deadline: Option<Instant>,
    /// The first number that doesn't concern it.
    pub(super) until: u64,
}

/// Tells the program what no call waits for.
pub(super) type Tell = Box<dyn Fn(Error) + Send>;

/// The state of the thread.
pub(super) struct Keeper {
    pub(super) options: OutboxOptions,
    clock: Clock,
    pub(super) access: Access,
    pub(super) shelf: Arc<Shelf>,
    pub(super) tell: Tell,
    /// Those who wait for room, in the order of their calls.
    pub(super) arriving: VecDeque<Acceptance>,
    flushes: Vec<Flush>,
    /// In the file still, though the hub has them or they were given up; since when.
    pub(super) leaving: Vec<u64>,
    leaving_since: Option<Instant>,
    /// What comes from here on is not in the file yet.
    pub(super) stored_until: u64,
    pub(super) next_number: u64,
    /// What comes before has been on the shelf.
    pub(super) next_read: u64,
}

impl Keeper {
    pub(super) fn new(
        options: OutboxOptions,
        clock: Clock,
        (access, contents): (Access, Contents),
        shelf: Arc<Shelf>,
        tell: Tell,
    ) -> Self {
        shelf.count(|counts| {
            counts.stored = contents.messages;
            counts.stored_bytes = contents.bytes;
        });
        Self {
            options,
            clock,
            access,
            shelf,
            tell,
            arriving: VecDeque::new(),
            flushes: Vec::new(),
            leaving: Vec::new(),
            leaving_since: None,
            stored_until: contents.next_number,
            next_number: contents.next_number,
            next_read: 0,
        }
    }

    /// Work until it is told to close, or nobody is left to tell it.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut closed = None;
        while closed.is_none() {
            self.work();
            match jobs.recv_timeout(self.next_duty()) {
                Ok(job) => closed = self.take(job).or_else(|| self.take_more(jobs)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.work();
        self.end();
        // The file is free when the caller hears of it.
        if let Some(promise) = closed {
            complete([promise], &Ok(()));
        }
    }

    fn take_more(&mut self, jobs: &Receiver<Job>) -> Option<Promise> {
        jobs.try_iter().take(BATCH).find_map(|job| self.take(job))
    }

    fn take(&mut self, job: Job) -> Option<Promise> {
        match job {
            Job::Accept(acceptance) => self.arriving.push_back(acceptance),
            Job::Delivered(messages) => self.leave(&messages),
            Job::Refused(refused) => {
                self.leave(&[refused]);
                self.shelf.count(|counts| counts.refused += 1);
                let text =
                    "1 given up: the hub ended the connection each time it was sent, and kept it without";
                (self.tell)(self.problem(ErrorKind::Outbox, text));
            }
            Job::Flush(flush) => {
                // Those who still wait for room are not accepted yet.
                self.admit();
                self.flushes.push(Flush { until: self.next_number, ..flush });
            }
            Job::Close(promise) => return Some(promise),
        }
        None
    }

    fn work(&mut self) {
        self.expire();
        self.admit();
        self.end_late(Instant::now());
        let overdue = self.leaving_since.is_some_and(|since| since.elapsed() >= REMOVE_WITHIN);
        if overdue || self.leaving.len() >= BATCH {
            self.remove();
        }
        self.refill();
        self.end_flushes();
    }

    /// How long nothing has to be done unless somebody asks.
    fn next_duty(&self) -> Duration {
        let now = Instant::now();
        let removal = self.leaving_since.map(|since| since + REMOVE_WITHIN);
        let late = self.arriving.iter().filter_map(|acceptance| acceptance.deadline).min();
        let unflushed = self.flushes.iter().filter_map(|flush| flush.deadline).min();
        let next = [removal, late, unflushed].into_iter().flatten().min();
        let idle = if self.access.is_usable() && self.options.ttl.is_none() {
            Duration::from_secs(3600)
        } else {
            LOOK_AGAIN
        };
        next.map_or(idle, |next| next.saturating_duration_since(now).min(idle))
    }

    /// These are done with: there is room for others.
    pub(super) fn leave(&mut self, messages: &[Leaving]) {
        self.shelf.left(messages);
        self.leaving.extend(messages.iter().map(|leaving| leaving.number));
        self.leaving_since.get_or_insert_with(Instant::now);
    }

    /// Remove from the file what is done with. What can't be removed now is with the next commit that succeeds.
    fn remove(&mut self) {
        if !self.leaving.is_empty() {
            match self.access.commit(&[], &self.leaving, self.next_number, &*self.tell) {
                Ok(()) => self.left(),
                Err(_) if self.is_empty() && self.access.start_over(self.next_number).is_ok() => self.left(),
                Err(_) => self.leaving_since = Some(Instant::now() + LOOK_AGAIN),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.shelf.counts().stored == 0
    }

    pub(super) fn left(&mut self) {
        self.leaving.clear();
        self.leaving_since = None;
    }

    /// Read on where the shelf ends.
    pub(super) fn refill(&mut self) {
        if self.shelf.waiting() < READ_AHEAD / 2 && self.next_read < self.stored_until {
            let read = self.access.read((self.next_read, self.stored_until), READ_AHEAD, BYTES, &*self.tell);
            if read.is_empty() && self.access.is_usable() {
                self.next_read = self.stored_until;
            }
            self.show(read);
        }
    }

    pub(super) fn show(&mut self, messages: Vec<Stored>) {
        if let Some(last) = messages.last() {
            self.next_read = last.number + 1;
            self.shelf.put(messages);
        }
    }

    /// Give up what is older than the time to live, and say so once for all.
    fn expire(&mut self) {
        if self.options.ttl.is_none() {
            return;
        }
        let oldest = self.options.oldest(&self.clock);
        let mut expired = 0;
        loop {
            self.refill();
            let gone = self.shelf.expire(oldest);
            if gone.is_empty() {
                break;
            }
            expired += gone.len() as u64;
            self.leave(&gone);
        }
        if expired > 0 {
            self.shelf.count(|counts| counts.expired += expired);
            let ttl = self.options.ttl.unwrap_or_default().as_secs_f64();
            let text = format!("{expired} expired, not sent within the time to live of {ttl} s");
            (self.tell)(self.problem(ErrorKind::Outbox, &text));
        }
    }

    fn end_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let oldest = self.shelf.oldest().unwrap_or(self.next_read);
        if self.flushes.iter().any(|flush| flush.until <= oldest) {
            self.remove();
        }
        let now = Instant::now();
        for flush in std::mem::take(&mut self.flushes) {
            if flush.until <= oldest {
                complete([flush.promise], &Ok(()));
            } else if flush.deadline.is_some_and(|deadline| deadline <= now) {
                let stored = self.shelf.counts().stored;
                let text = format!("{stored} not acknowledged by the hub within the call's time");
                flush.promise.complete(Err(self.problem(ErrorKind::Timeout, &text)));
            } else {
                self.flushes.push(flush);
            }
        }
    }

    fn end(&mut self) {
        self.remove();
        self.access.close(self.next_number, &*self.tell);
        let gone = |text: &str| Err(Error::new(ErrorKind::Cancelled, text));
        let arriving = self.arriving.drain(..).map(|acceptance| acceptance.promise);
        complete(arriving, &gone("the client has ended (never stored)"));
        let flushes = self.flushes.drain(..).map(|flush| flush.promise);
        complete(flushes, &gone("the client has ended; the outbox keeps what is not delivered"));
    }

    pub(super) fn problem(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("messages in the outbox {}: {what}", self.options.path.display()))
    }
}

/// Give all of them this outcome.
pub(super) fn complete(promises: impl IntoIterator<Item = Promise>, outcome: &Result<()>) {
    for promise in promises {
        promise.complete(outcome.clone().map(|()| Bytes::new()));
    }
}
