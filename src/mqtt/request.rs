//! A caller's request to the connection, and the receipt through which its one outcome arrives.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;
use tokio::time::Instant;

use super::MAX_PACKET;
use crate::error::{Error, ErrorKind, Result};

/// Fixed header, topic length and packet id of a PUBLISH, at most.
const PACKET_HEADERS: usize = 9;

/// What to do on the wire.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Publish with QoS 1; done with the PUBACK.
    Publish(Publish),
    /// Publish with QoS 1; done when the owner has found the answer to this request id.
    Call {
        /// The packet that asks.
        publish: Publish,
        /// What the answer will carry.
        request_id: String,
    },
    /// Subscribe to one topic filter with QoS 1; a refusal is an error.
    Subscribe(String),
    /// Unsubscribe from one topic filter.
    Unsubscribe(String),
}

impl Operation {
    /// Publish a payload.
    ///
    /// # Errors
    /// `Unsendable` if the topic can't be published to, or the packet is larger than any hub takes.
    pub fn publish(topic: String, payload: Bytes) -> Result<Self> {
        Ok(Self::Publish(publish_packet(topic, payload)?))
    }

    /// Publish a question; the answer carries its request id.
    ///
    /// # Errors
    /// As [`Operation::publish`].
    pub fn call(topic: String, payload: Bytes, request_id: String) -> Result<Self> {
        Ok(Self::Call { publish: publish_packet(topic, payload)?, request_id })
    }

    /// Subscribe to a topic filter.
    ///
    /// # Errors
    /// `Unsendable` if it is none: a hub would close the connection for it, each time that it is made again.
    pub fn subscribe(filter: String) -> Result<Self> {
        if is_filter(&filter) {
            return Ok(Self::Subscribe(filter));
        }
        let text = format!("Invalid subscription filter.: {filter:?} has a wildcard within a name");
        Err(Error::new(ErrorKind::Unsendable, text))
    }
}

/// Whether each wildcard is a level of its own, and `#` the last one.
fn is_filter(text: &str) -> bool {
    let levels = text.strip_suffix('#').filter(|rest| rest.is_empty() || rest.ends_with('/')).unwrap_or(text);
    levels.split('/').all(|level| level == "+" || !level.contains(['+', '#', '\0']))
}

fn publish_packet(topic: String, payload: Bytes) -> Result<Publish> {
    let refuse = |text: String| Err(Error::new(ErrorKind::Unsendable, text));
    if topic.contains(['+', '#', '\0']) {
        return refuse("Publish topic cannot contain wildcards.".to_owned());
    }
    if topic.len() > usize::from(u16::MAX) {
        return refuse("the properties are too long: a topic holds at most 65,535 bytes".to_owned());
    }
    if topic.len() + payload.len() > MAX_PACKET - PACKET_HEADERS {
        return refuse(format!("a message of {} bytes with its properties is too large", payload.len()));
    }
    Ok(Publish::from_bytes(topic, QoS::AtLeastOnce, payload))
}

/// Who is told the outcome.
#[derive(Debug)]
pub enum Reply<P> {
    /// A caller who holds the receipt.
    Caller(Promise),
    /// The owner of the connection, for a purpose of its own.
    Owner(P),
}

/// An operation, who is told its outcome, and until when.
#[derive(Debug)]
pub struct Request<P> {
    /// What to do.
    pub operation: Operation,
    /// Who is told.
    pub reply: Reply<P>,
    /// After this moment the outcome is a time-out; without one the request waits without end.
    pub deadline: Option<Instant>,
}

/// Make both halves of an outcome: the promise goes with the request, the receipt stays with the caller.
#[must_use]
pub fn receipt() -> (Promise, Receipt) {
    let slot = Arc::new(Slot(Mutex::new(Progress::default())));
    (Promise(Arc::clone(&slot)), Receipt(slot))
}

#[derive(Debug)]
struct Slot(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    stage: Stage,
    outcome: Option<Result<Bytes>>,
    /// Of the caller, who waits for the outcome.
    waker: Option<Waker>,
    /// Of the connection, if it wants to know when the caller is gone.
    abandoned: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Queued,
    Written,
    Done,
    /// The caller is gone: not written if it hasn't been, never replayed.
    Abandoned,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection's half. Dropped without an outcome, it reports a cancellation.
#[derive(Debug)]
pub struct Promise(Arc<Slot>);

impl Promise {
    /// Note that the request is on the wire now; `false` if its caller is gone.
    #[must_use]
    pub fn written(&self) -> bool {
        let mut progress = self.0.lock();
        if progress.stage == Stage::Queued {
            progress.stage = Stage::Written;
        }
        progress.stage == Stage::Written
    }

    /// Whether the caller no longer waits.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.lock().stage == Stage::Abandoned
    }

    /// Whether the caller no longer waits; if it does, the connection is woken when that changes.
    pub fn poll_abandoned(&self, context: &mut Context<'_>) -> bool {
        let mut progress = self.0.lock();
        progress.abandoned = Some(context.waker().clone());
        progress.stage == Stage::Abandoned
    }

    /// Give the outcome. An error says whether the request was never sent or may have arrived.
    pub fn complete(self, outcome: Result<Bytes>) {
        self.finish(|_| outcome);
    }

    /// Give an error whose sentence ends with what became of the request.
    pub fn fail(self, error: &Error) {
        self.finish(|stage| Err(tell_fate(error, stage)));
    }

    fn finish(&self, outcome: impl FnOnce(Stage) -> Result<Bytes>) {
        let waker = {
            let mut progress = self.0.lock();
            if matches!(progress.stage, Stage::Done | Stage::Abandoned) {
                return;
            }
            progress.outcome = Some(outcome(progress.stage));
            progress.stage = Stage::Done;
            progress.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn tell_fate(error: &Error, stage: Stage) -> Error {
    let fate = if stage == Stage::Queued { "never sent" } else { "sent, not acknowledged" };
    error.clone().with_message(format!("{} ({fate})", error.message()))
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.finish(|stage| Err(tell_fate(&Error::new(ErrorKind::Cancelled, "the client has ended"), stage)));
    }
}

/// The caller's half: a future of the outcome. Dropping it abandons the request.
#[derive(Debug)]
pub struct Receipt(Arc<Slot>);

impl Receipt {
    /// Abandon the request unless it is on the wire; whether it is abandoned.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let mut progress = self.0.lock();
        if progress.stage == Stage::Queued {
            progress.stage = Stage::Abandoned;
        }
        progress.stage == Stage::Abandoned
    }
}

impl Future for Receipt {
    type Output = Result<Bytes>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut progress = self.0.lock();
        if let Some(outcome) = progress.outcome.take() {
            return Poll::Ready(outcome);
        }
        progress.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let waker = {
            let mut progress = self.0.lock();
            if progress.stage == Stage::Done {
                return;
            }
            progress.stage = Stage::Abandoned;
            progress.abandoned.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_hub_would_take_is_not_published() {
        let refused = |topic: String, length| {
            Operation::publish(topic, Bytes::from(vec![0; length])).unwrap_err().kind()
                == ErrorKind::Unsendable
        };
        assert!(refused("devices/a+b/messages/events/".into(), 0));
        assert!(refused("devices/a#/messages/events/".into(), 0));
        assert!(refused("a".repeat(65_536), 0));
        assert!(refused("a".into(), MAX_PACKET));
        assert!(Operation::publish("a".repeat(65_535), Bytes::new()).is_ok());
    }

    #[test]
    fn a_wildcard_in_a_filter_is_a_level_of_its_own() {
        for filter in ["#", "a/#", "a/+/b", "+", "a b/%23"] {
            assert!(Operation::subscribe(filter.to_owned()).is_ok(), "{filter}");
        }
        for filter in ["a+b", "devices/a+b/#", "a#", "#/a", "a/#/b", "a/#b"] {
            let error = Operation::subscribe(filter.to_owned()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsendable, "{filter}");
        }
    }

    #[tokio::test]
    async fn the_first_outcome_is_the_only_one() {
        let (promise, receipt) = receipt();
        assert!(promise.written());
        promise.complete(Ok(Bytes::from_static(b"x")));
        assert_eq!(receipt.await.unwrap(), "x");
    }

    #[tokio::test]
    async fn an_error_tells_whether_the_request_was_sent() {
        let lost = Error::new(ErrorKind::ConnectionDropped, "the connection was lost");
        let (promise, waiting) = receipt();
        promise.fail(&lost);
        assert_eq!(waiting.await.unwrap_err().message(), "the connection was lost (never sent)");
        let (promise, waiting) = receipt();
        assert!(promise.written());
        promise.fail(&lost);
        assert_eq!(waiting.await.unwrap_err().message(), "the connection was lost (sent, not acknowledged)");
    }

    #[tokio::test]
    async fn a_dropped_promise_is_a_cancellation() {
        let (promise, waiting) = receipt();
        drop(promise);
        assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn an_abandoned_request_is_not_written() {
        let (promise, waiting) = receipt();
        drop(waiting);
        assert!(promise.is_abandoned());
        assert!(!promise.written());
    }
}
