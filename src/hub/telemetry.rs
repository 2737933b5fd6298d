//! What devices sent, newest last: a bounded record in memory that tests and people can look at.
//!
//! Filled by the MQTT endpoint, read through `LocalHub.telemetry()`. The events endpoint of a later
//! version keeps its own log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::protocol::identity::IdentityId;

const MOST_MESSAGES: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;

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
pub struct Telemetry(Mutex<Record>);

#[derive(Default)]
struct Record {
    messages: VecDeque<TelemetryMessage>,
    bytes: usize,
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
        }
    }

    /// The messages kept, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<TelemetryMessage> {
        self.record().messages.iter().cloned().collect()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn the_oldest_messages_make_room_by_number_and_by_size() {
        let telemetry = Telemetry::default();
        telemetry.append((0..=MOST_MESSAGES).map(|_| message(1)));
        assert_eq!(telemetry.messages().len(), MOST_MESSAGES);
        telemetry.append((0..2).map(|_| message(MOST_BYTES / 2)));
        assert_eq!(telemetry.messages().len(), 2);
    }
}
