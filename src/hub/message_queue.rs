//! The messages that wait for a device or module: in order, until they are acknowledged, expire or were
//! delivered too often.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::base64_body;
use super::feedback::{FeedbackRequest, MessageOutcome};
use crate::protocol::identity::IdentityId;
use crate::protocol::topics;

/// Sent so often and never acknowledged, a message is given up.
const MOST_DELIVERIES: u32 = 10;

/// The queue of one device or module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageQueue {
    /// The number of the newest message that there ever was.
    last: u64,
    waiting: Vec<QueuedMessage>,
}

/// A message on its way to a device or module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Its place in the order of the queue.
    pub number: u64,
    /// Of messages to modules: the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// As they stand in the topic: `key=value&key=value`, percent-encoded.
    pub properties: String,
    /// Its body.
    #[serde(with = "base64_body")]
    pub body: Bytes,
    /// When it is too late to deliver it, milliseconds since 1970.
    pub expires: u64,
    /// How often it was sent.
    pub deliveries: u32,
    /// What its sender wants to hear of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<FeedbackRequest>,
}

/// What a look into the queue brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// To be sent now; they stay in the queue until they are acknowledged.
    pub(super) messages: Vec<QueuedMessage>,
    /// Removed undelivered: which, and why.
    pub(super) given_up: Vec<(QueuedMessage, MessageOutcome)>,
}

impl QueuedMessage {
    /// The topic that brings it to its receiver.
    #[must_use]
    pub fn topic(&self, receiver: &IdentityId) -> String {
        match (&receiver.module, &self.input) {
            (Some(module), Some(input)) => topics::input(&receiver.device, module, input, &self.properties),
            _ => topics::cloud_to_device(&receiver.device, &self.properties),
        }
    }

    fn reason_to_give_up(&self, now: u64) -> Option<MessageOutcome> {
        if self.expires <= now {
            Some(MessageOutcome::Expired)
        } else if self.deliveries >= MOST_DELIVERIES {
            Some(MessageOutcome::DeliveryCountExceeded)
        } else {
            None
        }
    }
}

impl MessageQueue {
    /// How many messages wait, those on their way included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether none has ever been there.
    pub(super) fn is_unused(&self) -> bool {
        self.last == 0
    }

    /// Add a message; its number is the queue's to choose.
    pub(super) fn push(&mut self, message: QueuedMessage) {
        self.last += 1;
        self.waiting.push(QueuedMessage { number: self.last, ..message });
    }

    /// When the first of its messages expires.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.waiting.iter().map(|message| message.expires).min()
    }

    /// Remove what is too late.
    pub(super) fn expire(&mut self, now: u64) -> Vec<QueuedMessage> {
        self.waiting.extract_if(.., |message| message.expires <= now).collect()
    }

    /// Remove all messages, those on their way included: their acknowledgements are for nothing then.
    pub(super) fn purge(&mut self) -> Vec<QueuedMessage> {
        std::mem::take(&mut self.waiting)
    }

    /// Remove a message that was acknowledged, if it is there.
    pub(super) fn remove(&mut self, number: u64) -> Option<QueuedMessage> {
        let place = self.waiting.iter().position(|message| message.number == number)?;
        Some(self.waiting.remove(place))
    }

    /// Whether anything waits that is not on its way.
    pub(super) fn has_more(&self, on_its_way: impl Fn(u64) -> bool) -> bool {
        self.waiting.iter().any(|message| !on_its_way(message.number))
    }

    /// The next messages to send, counted as delivered once more.
    pub(super) fn take(&mut self, most: usize, now: u64, on_its_way: impl Fn(u64) -> bool) -> Taken {
        let mut taken = Taken::default();
        self.waiting.retain_mut(|message| {
            if taken.messages.len() == most || on_its_way(message.number) {
                return true;
            }
            if let Some(reason) = message.reason_to_give_up(now) {
                taken.given_up.push((message.clone(), reason));
                return false;
            }
            message.deliveries += 1;
            taken.messages.push(message.clone());
            true
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &'static str, expires: u64) -> QueuedMessage {
        let (input, properties, body) = (None, "a=b".to_owned(), Bytes::from(body));
        QueuedMessage { number: 0, input, properties, body, expires, deliveries: 0, feedback: None }
    }

    fn queue(expiries: &[u64]) -> MessageQueue {
        let mut queue = MessageQueue::default();
        for expires in expiries {
            queue.push(message("x", *expires));
        }
        queue
    }

    fn numbers(taken: &Taken) -> Vec<u64> {
        taken.messages.iter().map(|message| message.number).collect()
    }

    #[test]
    fn messages_are_sent_in_order_and_stay_until_they_are_acknowledged() {
        let mut queue = queue(&[9, 9, 9, 9]);
        let first = queue.take(2, 0, |_| false);
        assert_eq!(numbers(&first), [1, 2]);
        assert_eq!(numbers(&queue.take(2, 0, |number| number <= 2)), [3, 4]);
        assert!(queue.remove(2).is_some() && queue.remove(2).is_none());
        // On the next connection nothing is on its way any more.
        let again = queue.take(50, 0, |_| false);
        assert_eq!(numbers(&again), [1, 3, 4]);
        assert!(again.messages.iter().all(|message| message.deliveries == 2));
    }

    #[test]
    fn what_has_expired_or_was_sent_ten_times_is_given_up() {
        let mut queue = queue(&[5, 100]);
        let given_up = queue.take(50, 5, |_| false).given_up;
        assert_eq!(
            given_up.iter().map(|(message, why)| (message.number, *why)).collect::<Vec<_>>(),
            [(1, MessageOutcome::Expired)]
        );
        for _ in 0..9 {
            assert_eq!(numbers(&queue.take(50, 5, |_| false)), [2]);
        }
        assert_eq!(queue.take(50, 5, |_| false).given_up.len(), 1);
        assert!(queue.is_empty() && !queue.is_unused());
    }

    #[test]
    fn it_is_written_and_read_with_any_bytes() {
        let mut queue = queue(&[5]);
        let asked = [("iothub-ack".to_owned(), "full".to_owned())];
        let feedback = FeedbackRequest::of(&asked);
        queue.push(QueuedMessage { body: Bytes::from_static(b"\0\xff"), feedback, ..message("", 7) });
        let text = serde_json::to_string(&queue).unwrap();
        assert_eq!(serde_json::from_str::<MessageQueue>(&text).unwrap(), queue);
    }
}
