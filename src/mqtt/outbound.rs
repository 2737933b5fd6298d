//! Requests that have no outcome yet, in the order in which they were made.
//!
//! Queued ones wait for room in the in-flight window, those in flight for their acknowledgement, answered
//! calls for their answer. All of it outlives a connection: the owner replays or fails it. Every request
//! leaves with exactly one outcome.

use std::collections::{BTreeSet, VecDeque};
use std::task::Context;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{SubAck, Subscribe, SubscribeReasonCode, Unsubscribe};
use tokio::time::Instant;

use super::counts::{Tally, is_message};
use super::request::{Operation, Reply, Request};
use crate::error::{Error, ErrorKind, Result};

/// How many requests an idle connection keeps room for.
const KEPT_CAPACITY: usize = 8;

/// Requests without an outcome; `P` is what the owner's own requests are for.
#[derive(Debug)]
pub struct Outbound<P> {
    queued: VecDeque<Request<P>>,
    in_flight: VecDeque<InFlight<P>>,
    awaiting_answer: Vec<Request<P>>,
    owners: Vec<(P, Result<Bytes>)>,
    subscriptions: BTreeSet<String>,
    window: usize,
    /// The window was full and has not opened since.
    is_full: bool,
    last_id: u16,
    /// How many ids have been given, those that were left out too.
    given: u64,
    earliest_deadline: Option<Instant>,
    paused: bool,
    tally: Tally,
}

#[derive(Debug)]
struct InFlight<P> {
    id: u16,
    /// [`Outbound::given`] when its id was.
    given: u64,
    /// None once it has its outcome: an answer or a time-out may come before the acknowledgement.
    request: Option<Request<P>>,
}

impl<P: PartialEq> Outbound<P> {
    /// Nothing yet, with room for `window` unacknowledged packets: at least one, at most half of the packet ids.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self {
            queued: VecDeque::new(),
            in_flight: VecDeque::new(),
            awaiting_answer: Vec::new(),
            owners: Vec::new(),
            subscriptions: BTreeSet::new(),
            window: window.clamp(1, usize::from(u16::MAX / 2)),
            is_full: false,
            last_id: 0,
            given: 0,
            earliest_deadline: None,
            paused: false,
            tally: Tally::default(),
        }
    }

    /// The same, counting its messages here.
    #[must_use]
    pub fn counting(mut self, tally: Tally) -> Self {
        self.tally = tally;
        self
    }

    /// Take a request; it goes out after those already taken.
    pub fn push(&mut self, request: Request<P>) {
        self.note_deadline(request.deadline);
        if is_message(&request) {
            self.tally.count(|counts| counts.queued += 1);
        }
        self.queued.push_back(request);
    }

    /// Take a request that goes out before all others.
    pub fn push_first(&mut self, request: Request<P>) {
        self.note_deadline(request.deadline);
        self.queued.push_front(request);
    }

    /// Take an owner's request that goes out first, unless one for this purpose has no outcome yet.
    pub fn ask_once(&mut self, purpose: &P, request: impl FnOnce() -> Request<P>) {
        let same = |request: &Request<P>| matches!(&request.reply, Reply::Owner(other) if other == purpose);
        if !self.pending().any(same) {
            self.push_first(request());
        }
    }

    /// Every request without an outcome.
    fn pending(&self) -> impl Iterator<Item = &Request<P>> {
        let in_flight = self.in_flight.iter().filter_map(|sent| sent.request.as_ref());
        self.queued.iter().chain(&self.awaiting_answer).chain(in_flight)
    }

    /// Whether a caller waits for anything; if so, `context` is woken when the first of them is gone.
    pub fn poll_wanted(&self, context: &mut Context<'_>) -> bool {
        self.pending().any(|request| match &request.reply {
            Reply::Caller(promise) => !promise.poll_abandoned(context),
            Reply::Owner(_) => false,
        })
    }

    fn note_deadline(&mut self, deadline: Option<Instant>) {
        self.earliest_deadline = match (self.earliest_deadline, deadline) {
            (Some(earliest), Some(deadline)) => Some(earliest.min(deadline)),
            (earliest, deadline) => earliest.or(deadline),
        };
    }

    /// While paused, what is in flight goes on and nothing new is written.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether it is paused and nothing waits for an acknowledgement any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.paused && self.in_flight.is_empty()
    }

    /// Whether requests wait for room in a window most of which is packets that nobody waits for any more; if not,
    /// `context` is woken when another caller is gone who may change that.
    pub fn poll_blocked(&self, context: &mut Context<'_>) -> bool {
        let mut is_over = |sent: &InFlight<P>| match &sent.request {
            Some(Request { reply: Reply::Caller(promise), .. }) => promise.poll_abandoned(context),
            Some(_) => false,
            None => true,
        };
        !self.paused
            && !self.queued.is_empty()
            && !self.has_room()
            // Acknowledgements come in order: mostly one look is enough.
            && self.in_flight.front().is_some_and(&mut is_over)
            && self.in_flight.iter().filter(|sent| is_over(sent)).count() * 2 > self.window
    }

    /// The filters whose subscription the hub has confirmed.
    #[must_use]
    pub fn subscriptions(&self) -> &BTreeSet<String> {
        &self.subscriptions
    }

    /// Write queued requests into `output` while the window has room and less than `limit` bytes wait there.
    ///
    /// # Errors
    /// `Protocol` if a packet can't be encoded; it then has that outcome too.
    pub fn fill(&mut self, output: &mut BytesMut, limit: usize) -> Result<()> {
        if self.has_room() {
            while !self.paused && self.in_flight.len() < self.window && output.len() < limit {
                let Some(request) = self.queued.pop_front() else { break };
                self.write(request, false, output)?;
            }
            self.is_full = self.in_flight.len() >= self.window;
        }
        release(&mut self.queued);
        release(&mut self.in_flight);
        Ok(())
    }

    /// A full window opens when a quarter of it is free: many packets leave in one piece then, and reach the hub in one,
    /// where each acknowledgement would let out one.
    fn has_room(&self) -> bool {
        let closed = if self.is_full { (self.window / 4).max(1) } else { 1 };
        self.in_flight.len() + closed <= self.window
    }

    fn write(&mut self, mut request: Request<P>, again: bool, output: &mut BytesMut) -> Result<()> {
        if let Reply::Caller(promise) = &request.reply
            && !promise.written()
        {
            self.tally.count(|counts| counts.lose_queued(&request));
            return Ok(());
        }
        self.tally.count(|counts| counts.write(&request));
        let id = self.free_id();
        encode(&mut request.operation, id, again, output)?;
        self.in_flight.push_back(InFlight { id, given: self.given, request: Some(request) });
        Ok(())
    }

    /// The next packet id that is not in flight; the window is far smaller than the ids.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            self.given += 1;
            // Ids are given in turn: one that is in flight comes again after all others only.
            let oldest = self.in_flight.front().map_or(self.given, |sent| sent.given);
            let is_first_turn = self.given - oldest < u64::from(u16::MAX);
            if is_first_turn || !self.in_flight.iter().any(|sent| sent.id == self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Write what was in flight again, marked as duplicates under its old ids. Questions without an answer are asked
    /// again, in their order and before what is queued: the subscription to the answers may have to be made first.
    /// For the first moment of a new connection.
    ///
    /// # Errors
    /// `Protocol` if a packet can't be encoded.
    pub fn replay(&mut self, output: &mut BytesMut) -> Result<()> {
        let mut questions = std::mem::take(&mut self.awaiting_answer);
        for sent in std::mem::take(&mut self.in_flight) {
            match sent.request {
                Some(request) if is_abandoned(&request) => {
                    self.tally.count(|counts| counts.lose_in_flight(&request));
                }
                Some(request) if matches!(request.operation, Operation::Call { .. }) => {
                    questions.push(request);
                }
                Some(mut request) => {
                    encode(&mut request.operation, sent.id, true, output)?;
                    self.in_flight.push_back(InFlight { request: Some(request), ..sent });
                }
                None => {}
            }
        }
        for question in questions.into_iter().rev() {
            self.queued.push_front(question);
        }
        Ok(())
    }

    /// A PUBACK came.
    pub fn published(&mut self, id: u16) {
        let publishes =
            |operation: &Operation| matches!(operation, Operation::Publish(_) | Operation::Call { .. });
        match self.take(id, publishes) {
            Some(request) if matches!(request.operation, Operation::Call { .. }) => {
                self.awaiting_answer.push(request);
            }
            Some(request) => {
                self.tally.count(|counts| {
                    counts.acknowledged += 1;
                    counts.in_flight -= 1;
                });
                self.complete(request, Ok(Bytes::new()));
            }
            None => {}
        }
    }

    /// A SUBACK came.
    pub fn subscribed(&mut self, ack: &SubAck) {
        if let Some(request) = self.take(ack.pkid, |operation| matches!(operation, Operation::Subscribe(_))) {
            let refused = ack.return_codes.contains(&SubscribeReasonCode::Failure);
            let outcome = match &request.operation {
                Operation::Subscribe(filter) if refused => Err(refusal(filter)),
                Operation::Subscribe(filter) => {
                    self.subscriptions.insert(filter.clone());
                    Ok(Bytes::new())
                }
                _ => return,
            };
            self.complete(request, outcome);
        }
    }

    /// An UNSUBACK came.
    pub fn unsubscribed(&mut self, id: u16) {
        if let Some(request) = self.take(id, |operation| matches!(operation, Operation::Unsubscribe(_))) {
            if let Operation::Unsubscribe(filter) = &request.operation {
                self.subscriptions.remove(filter);
            }
            self.complete(request, Ok(Bytes::new()));
        }
    }

    /// Remove the request in flight under this id if it is of this sort: no acknowledgement completes
    /// another sort of request. Acknowledgements come in order, so the search ends early.
    fn take(&mut self, id: u16, sort: impl Fn(&Operation) -> bool) -> Option<Request<P>> {
        let of_sort =
            |sent: &InFlight<P>| sent.request.as_ref().is_none_or(|request| sort(&request.operation));
        let position = self.in_flight.iter().position(|sent| sent.id == id && of_sort(sent))?;
        self.in_flight.remove(position)?.request
    }

    /// The answer to a call came, before or after the acknowledgement; `false` if nobody asked.
    pub fn answered(&mut self, request_id: &str, outcome: Result<Bytes>) -> bool {
        let asked = |request: &Request<P>| matches!(&request.operation, Operation::Call { request_id: id, .. } if id == request_id);
        let waiting = self.awaiting_answer.iter().position(asked).map(|at| self.awaiting_answer.remove(at));
        let request = waiting.or_else(|| {
            let mut in_flight = self.in_flight.iter_mut();
            in_flight.find(|sent| sent.request.as_ref().is_some_and(asked))?.request.take()
        });
        request.is_some_and(|request| {
            self.complete(request, outcome);
            true
        })
    }

    fn complete(&mut self, request: Request<P>, outcome: Result<Bytes>) {
        match request.reply {
            Reply::Caller(promise) => promise.complete(outcome),
            Reply::Owner(purpose) => self.owners.push((purpose, outcome)),
        }
    }

    /// The owner's own requests that have their outcome since the last call.
    pub fn take_owners(&mut self) -> Vec<(P, Result<Bytes>)> {
        std::mem::take(&mut self.owners)
    }

    /// Forget the owner's own requests: on a new connection it makes those it needs.
    pub fn drop_owners(&mut self) {
        let of_owner = |request: &Request<P>| matches!(request.reply, Reply::Owner(_));
        self.queued.retain(|request| !of_owner(request));
        self.awaiting_answer.retain(|request| !of_owner(request));
        for sent in &mut self.in_flight {
            sent.request.take_if(|request| of_owner(request));
        }
    }

    /// Give every request this error, each with what became of it.
    pub fn fail_all(&mut self, error: &Error) {
        self.fail_where(error, |_| true);
        self.in_flight.clear();
    }

    /// Give every request whose deadline has passed a time-out; `why` is what keeps the hub from answering, if known.
    pub fn expire(&mut self, now: Instant, why: Option<&Error>) {
        let mut error = Error::new(ErrorKind::Timeout, "no answer within the call's time");
        if let Some(why) = why {
            error = error.caused_by(why.clone());
        }
        self.fail_where(&error, |request| request.deadline.is_some_and(|deadline| deadline <= now));
    }

    /// The next moment at which [`Outbound::expire`] may find something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.earliest_deadline
    }

    fn fail_where(&mut self, error: &Error, condition: impl Fn(&Request<P>) -> bool) {
        let mut failed = extract(&mut self.queued, |request| is_abandoned(request) || condition(request));
        for request in &failed {
            self.tally.count(|counts| counts.lose_queued(request));
        }
        failed.extend(
            self.awaiting_answer.extract_if(.., |request| is_abandoned(request) || condition(request)),
        );
        for sent in &mut self.in_flight {
            let late = sent.request.take_if(|request| condition(request));
            if let Some(request) = late {
                self.tally.count(|counts| counts.lose_in_flight(&request));
                failed.push(request);
            }
        }
        for request in failed {
            match request.reply {
                Reply::Caller(promise) => promise.fail(error),
                Reply::Owner(purpose) => self.owners.push((purpose, Err(error.clone()))),
            }
        }
        self.earliest_deadline = self.pending().filter_map(|request| request.deadline).min();
    }
}

fn is_abandoned<P>(request: &Request<P>) -> bool {
    matches!(&request.reply, Reply::Caller(promise) if promise.is_abandoned())
}

/// A burst leaves no room behind that idle connections would have to keep.
fn release<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT_CAPACITY {
        *queue = VecDeque::new();
    }
}

fn extract<T>(queue: &mut VecDeque<T>, condition: impl Fn(&T) -> bool) -> Vec<T> {
    let (matching, rest): (Vec<_>, Vec<_>) = std::mem::take(queue).into_iter().partition(condition);
    *queue = rest.into();
    matching
}

fn refusal(filter: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the hub refused the subscription to {filter}"))
}

fn encode(operation: &mut Operation, id: u16, again: bool, output: &mut BytesMut) -> Result<()> {
    let written = match operation {
        Operation::Publish(publish) | Operation::Call { publish, .. } => {
            publish.pkid = id;
            publish.dup = again;
            publish.write(output)
        }
        Operation::Subscribe(filter) => {
            let mut packet = Subscribe::new(filter.as_str(), QoS::AtLeastOnce);
            packet.pkid = id;
            packet.write(output)
        }
        Operation::Unsubscribe(filter) => {
            let mut packet = Unsubscribe::new(filter.as_str());
            packet.pkid = id;
            packet.write(output)
        }
    };
    let malformed = |error| Error::new(ErrorKind::Protocol, "a packet could not be encoded").caused_by(error);
    written.map(drop).map_err(malformed)
}

#[cfg(test)]
mod tests;
