//! What devices sent, newest last: a bounded record in memory that tests and people can look at.
//!
//! Filled by the MQTT endpoint, read through `LocalHub.telemetry()` and `LocalHub.events()`. The events
//! endpoint of a later version keeps its own log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::protocol::identity::IdentityId;

const MOST_MESSAGES: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
/// Most messages in one answer to who follows them.
const LARGEST_PAGE: usize = 256;

/// One message of a device or module.
#[derive(Clone, Debug)]
pub struct TelemetryMessage {
    /// Who sent it.
    pub sender: Arc<IdentityId>,
    /// When it arrived, milliseconds since 1970.
    pub enqueued_unix_millis: u64,
    /// Its properties as they stood in the topic, percent-encoded: `key=value&key=value`.
    pub properties: String,
    /// Its body.
    pub body: Bytes,
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
    /// Add the messages of one read, and forget the oldest ones for which there is no more room.
    pub(super) fn append(&self, messages: impl Iterator<Item = TelemetryMessage>) {
        let mut record = self.record();
        for message in messages {
            record.bytes += size(&message);
            record.messages.push_back(message);
        }
        while record.messages.len() > MOST_MESSAGES || record.bytes > MOST_BYTES {
            let Some(oldest) = record.messages.pop_front() else { break };
            record.bytes -= size(&oldest);
            record.first += 1;
        }
        self.next.send_replace(record.first + record.messages.len() as u64);
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

fn size(message: &TelemetryMessage) -> usize {
    message.properties.len() + message.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: usize) -> TelemetryMessage {
        let sender = Arc::new(IdentityId { device: "d".to_owned(), module: None });
        let body = Bytes::from(vec![0; body]);
        TelemetryMessage { sender, enqueued_unix_millis: 1, properties: String::new(), body }
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
        let sending = async { telemetry.append((1..=300).map(message)) };
        let (page, ()) = tokio::join!(sizes(0), sending);
        assert_eq!(page, (0, (1..=256).collect()));
        assert_eq!(sizes(256).await, (256, (257..=300).collect()));
        telemetry.append([message(MOST_BYTES)].into_iter());
        assert_eq!(sizes(5).await, (300, vec![MOST_BYTES]));
        assert_eq!(sizes(301).await, (301, vec![]));
    }

    #[test]
    fn the_oldest_messages_make_room_by_number_and_by_size() {
        let telemetry = Telemetry::default();
        telemetry.append((0..=MOST_MESSAGES).map(|_| message(1)));
        assert_eq!(telemetry.messages().len(), MOST_MESSAGES);
        telemetry.append((0..2).map(|_| message(MOST_BYTES / 2)));
        assert_eq!(telemetry.messages().len(), 2);
    }
}
