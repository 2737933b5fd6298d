//! What devices sent, newest last: a bounded record that tests and people can look at.
//!
//! Filled by the MQTT endpoint, read through `LocalHub.telemetry()` and `LocalHub.events()`. A hub with a data file
//! keeps it there. The events endpoint of a later version keeps its own log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::base64_body;
use super::error::HubError;
use super::store::{Sequence, Store};
use crate::protocol::identity::IdentityId;

const MOST_MESSAGES: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
/// Most messages in one answer to who follows them.
const LARGEST_PAGE: usize = 256;

/// One message of a device or module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelemetryMessage {
    /// Who sent it.
    #[serde(with = "sender")]
    pub sender: Arc<IdentityId>,
    /// When it arrived, milliseconds since 1970.
    pub enqueued_unix_millis: u64,
    /// Its properties as they stood in the topic, percent-encoded: `key=value&key=value`.
    pub properties: String,
    /// Its body.
    #[serde(with = "base64_body")]
    pub body: Bytes,
    /// Whether its sender said that it may have sent it before (DUP).
    pub duplicate: bool,
}

/// Messages with their numbers, to be written down; those before `first` may be forgotten there, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) first: u64,
    pub(super) messages: Vec<(u64, TelemetryMessage)>,
}

impl Log {
    /// Make these messages and later ones into one log.
    pub(super) fn extend(&mut self, later: Self) {
        self.first = self.first.max(later.first);
        self.messages.extend(later.messages);
    }
}

/// The newest messages: at most 10,000 and 16 MiB.
#[derive(Default)]
pub struct Telemetry {
    record: Mutex<Record>,
    /// The number that the next message will have.
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Record {
    messages: VecDeque<TelemetryMessage>,
    bytes: usize,
    /// How many messages were forgotten: the number of the oldest one kept.
    first: u64,
}

impl Telemetry {
    /// The record as it was written down.
    pub(super) fn restored(log: Log) -> Self {
        let telemetry = Self::default();
        telemetry.record().first = log.messages.first().map_or(log.first, |(number, _)| *number);
        telemetry.record().add(log.messages.into_iter().map(|(_, message)| message));
        telemetry.next.send_replace(telemetry.record().next());
        telemetry
    }

    /// Add the messages of one read, and forget the oldest ones for which there is no more room. They are on disk when
    /// the change that is returned is durable.
    pub(super) fn append(
        &self,
        messages: impl Iterator<Item = TelemetryMessage>,
        store: &Store,
    ) -> Result<Sequence, HubError> {
        let mut record = self.record();
        let (before, kept) = (record.next(), store.is_kept());
        let mut log = Log::default();
        record.add(messages.zip(before..).map(|(message, number)| {
            if kept {
                log.messages.push((number, message.clone()));
            }
            message
        }));
        log.first = record.first;
        // Under the lock: the order on disk is that of the numbers.
        let change = store.log(log);
        self.next.send_replace(record.next());
        change
    }

    /// The messages kept, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<TelemetryMessage> {
        self.record().messages.iter().cloned().collect()
    }

    /// The next messages from the one with a number on (the first ever has 0), and the number of the first of
    /// them: a higher one than asked for if that was forgotten. Waits for one, up to `timeout`.
    pub(super) async fn since(&self, from: u64, timeout: Duration) -> (u64, Vec<TelemetryMessage>) {
        let mut next = self.next.subscribe();
        // In vain: then the list is empty.
        let _ = tokio::time::timeout(timeout, next.wait_for(|next| *next > from)).await;
        let record = self.record();
        let first = from.max(record.first);
        let skipped = usize::try_from(first - record.first).unwrap_or(usize::MAX);
        (first, record.messages.iter().skip(skipped).take(LARGEST_PAGE).cloned().collect())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn add(&mut self, messages: impl Iterator<Item = TelemetryMessage>) {
        for message in messages {
            self.bytes += size(&message);
            self.messages.push_back(message);
        }
        while self.messages.len() > MOST_MESSAGES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.first += 1;
        }
    }

    /// The number that the next message will have.
    fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }
}

fn size(message: &TelemetryMessage) -> usize {
    message.properties.len() + message.body.len()
}

/// A sender in JSON: `device` or `device/module`.
mod sender {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::protocol::identity::IdentityId;

    pub(super) fn serialize<S: Serializer>(sender: &IdentityId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(sender)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<IdentityId>, D::Error> {
        IdentityId::parse(&String::deserialize(deserializer)?).map(Arc::new).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: usize) -> TelemetryMessage {
        let sender = Arc::new(IdentityId { device: "d".to_owned(), module: Some("m".to_owned()) });
        let body = Bytes::from(vec![0; body]);
        TelemetryMessage { sender, enqueued_unix_millis: 1, properties: String::new(), body, duplicate: true }
    }

    fn append(telemetry: &Telemetry, messages: impl Iterator<Item = TelemetryMessage>) {
        telemetry.append(messages, &Store::in_memory()).unwrap();
    }

    #[test]
    fn a_message_is_written_and_read_as_it_was() {
        let text = serde_json::to_string(&message(3)).unwrap();
        assert_eq!(serde_json::from_str::<TelemetryMessage>(&text).unwrap(), message(3));
    }

    #[tokio::test]
    async fn a_restored_record_goes_on_with_its_numbers() {
        let log = Log { first: 7, messages: vec![(8, message(1)), (9, message(2))] };
        let telemetry = Telemetry::restored(log);
        append(&telemetry, [message(3)].into_iter());
        let (first, messages) = telemetry.since(9, Duration::ZERO).await;
        assert_eq!((first, messages), (9, vec![message(2), message(3)]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_gets_every_message_once_and_learns_what_was_forgotten() {
        let telemetry = Telemetry::default();
        let second = Duration::from_secs(1);
        let sizes = async |from| {
            let (first, messages) = telemetry.since(from, second).await;
            (first, messages.iter().map(|message| message.body.len()).collect::<Vec<_>>())
        };
        assert_eq!(sizes(0).await, (0, vec![]));
        let sending = async { append(&telemetry, (1..=300).map(message)) };
        let (page, ()) = tokio::join!(sizes(0), sending);
        assert_eq!(page, (0, (1..=256).collect()));
        assert_eq!(sizes(256).await, (256, (257..=300).collect()));
        append(&telemetry, [message(MOST_BYTES)].into_iter());
        assert_eq!(sizes(5).await, (300, vec![MOST_BYTES]));
        assert_eq!(sizes(301).await, (301, vec![]));
    }

    #[test]
    fn the_oldest_messages_make_room_by_number_and_by_size() {
        let telemetry = Telemetry::default();
        append(&telemetry, (0..=MOST_MESSAGES).map(|_| message(1)));
        assert_eq!(telemetry.messages().len(), MOST_MESSAGES);
        append(&telemetry, (0..2).map(|_| message(MOST_BYTES / 2)));
        assert_eq!(telemetry.messages().len(), 2);
    }
}
