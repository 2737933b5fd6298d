//! Feedback: what became of cloud-to-device messages whose sender wants to know.
//!
//! Records wait for others and go out as a batch, of 64 records or when the first of them has waited for 15 seconds.
//! A record is written down in the same change as what it tells of, so that none is lost and none is made twice.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d#message-feedback>

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use super::HubState;
use super::entity::Entity;
use super::error::HubError;
use super::message_queue::QueuedMessage;
use super::service_queue::{ServiceQueue, next_number, numbered};
use super::store::{State, Transaction};
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::{parse_timestamp, timestamp};

/// Of a batch.
pub const CONTENT_TYPE: &str = "application/vnd.microsoft.iothub.feedback.json";
const LARGEST_BATCH: usize = 64;
/// Of the records that wait for a batch, and of the batches.
const WAITING: &str = "feedback-record/";
const BATCHES: &str = "feedback/";
const MESSAGE_ID: &str = "$.mid";
const ACK: &str = "iothub-ack";
const TIME: &str = "enqueuedTimeUtc";

/// The outcomes of a message that its sender wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ack {
    /// That it was delivered.
    Positive,
    /// That it was not.
    Negative,
    /// Both.
    Full,
}

/// What its sender wants to hear of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackRequest {
    ack: Ack,
    /// The message's id; empty if it has none.
    message_id: String,
}

/// What can become of a message. No device of this hub can reject one: MQTT has no word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// The device has acknowledged it.
    Success,
    /// Its time was over.
    Expired,
    /// It was sent as often as may be.
    DeliveryCountExceeded,
    /// A back end has taken it back.
    Purged,
}

/// The hub's feedback: the batches, and the records of the next one.
pub struct Feedback {
    /// The batches.
    pub queue: ServiceQueue,
    /// Of the next record.
    next: AtomicU64,
    added: Arc<Notify>,
}

impl FeedbackRequest {
    /// What a message with these properties asks for.
    pub(super) fn of(properties: &[(String, String)]) -> Option<Self> {
        let value = |wanted: &str| properties.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let ack = match value(ACK)?.to_ascii_lowercase().as_str() {
            "positive" => Ack::Positive,
            "negative" => Ack::Negative,
            "full" => Ack::Full,
            _ => return None,
        };
        Some(Self { ack, message_id: value(MESSAGE_ID).cloned().unwrap_or_default() })
    }

    fn wants(&self, outcome: MessageOutcome) -> bool {
        match self.ack {
            Ack::Full => true,
            Ack::Positive => outcome == MessageOutcome::Success,
            Ack::Negative => outcome != MessageOutcome::Success,
        }
    }
}

impl MessageOutcome {
    fn code(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Expired",
            Self::DeliveryCountExceeded => "DeliveryCountExceeded",
            Self::Purged => "Purged",
        }
    }

    /// For people.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "The message expired before the device acknowledged it",
            Self::DeliveryCountExceeded => "The message was sent 10 times and never acknowledged",
            Self::Purged => "The message was purged before the device acknowledged it",
        }
    }
}

impl Feedback {
    /// What was written down.
    pub(super) fn restored(state: &State) -> Self {
        let next = AtomicU64::new(next_number(WAITING, state));
        Self { queue: ServiceQueue::restored(BATCHES, state), next, added: Arc::default() }
    }

    /// In a change: tell of what became of a device's message, if its sender wants to know.
    pub(super) fn tell(
        &self,
        transaction: &mut Transaction<'_>,
        (id, device): (&IdentityId, &Entity),
        (message, outcome): (&QueuedMessage, MessageOutcome),
        now: u64,
    ) {
        let Some(request) = message.feedback.as_ref().filter(|request| request.wants(outcome)) else {
            return;
        };
        let record = json!({
            "originalMessageId": request.message_id,
            TIME: timestamp(now),
            "statusCode": outcome.code(),
            "description": outcome.description(),
            "deviceId": id.device,
            "deviceGenerationId": device.identity.generation_id,
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        transaction.put_record(numbered(WAITING, number), record.to_string());
        let added = Arc::clone(&self.added);
        transaction.then(move |_| added.notify_one());
    }
}

impl HubState {
    /// Make batches when they are full or their time has come. Never resolves.
    pub(super) async fn keep_feedback_batched(self) {
        loop {
            let next = match self.batch_feedback() {
                Ok(next) => next.unwrap_or(u64::MAX),
                // The data file can't be written, which every answer tells.
                Err(_) => std::future::pending().await,
            };
            tokio::select! {
                () = self.feedback.added.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Make the batches there are to make; when the next one is due, if anything waits for it.
    fn batch_feedback(&self) -> Result<Option<u64>, HubError> {
        let wait = u64::try_from(self.limits.feedback_seconds).unwrap_or(u64::MAX).saturating_mul(1000);
        loop {
            let now = self.clock.unix_millis();
            let due = |state: &State| {
                let (_, first) = state.records(WAITING).next()?;
                let full = state.records(WAITING).nth(LARGEST_BATCH - 1).is_some();
                Some(if full { now } else { time_of(first).unwrap_or(now).saturating_add(wait) })
            };
            match self.store.peek(due) {
                Some(due) if due <= now => self.store.write_behind(|transaction| {
                    let records = transaction.before().records(WAITING).take(LARGEST_BATCH);
                    let (names, records): (Vec<_>, Vec<_>) =
                        records.map(|(name, text)| (name.to_owned(), text.to_owned())).unzip();
                    for name in names {
                        transaction.remove_record(name);
                    }
                    self.feedback.queue.push(transaction, format!("[{}]", records.join(",")), now)
                })?,
                due => return Ok(due),
            }
        }
    }
}

fn time_of(record: &str) -> Option<u64> {
    let record: serde_json::Value = serde_json::from_str(record).ok()?;
    parse_timestamp(record[TIME].as_str()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use serde_json::Value;

    use super::*;
    use crate::clock::Clock;
    use crate::hub::HubSettings;
    use crate::hub::messages::NewMessage;
    use crate::hub::registry::IdentityBody;

    const NOW: u64 = 1_709_288_130_000;

    async fn hub(settings: HubSettings) -> HubState {
        let hub = HubState::open(&settings).unwrap();
        hub.put_identity(&device(), IdentityBody::default(), None).await.unwrap();
        hub
    }

    fn settings() -> HubSettings {
        HubSettings { clock: Clock::manual(NOW), ..HubSettings::default() }
    }

    fn device() -> IdentityId {
        IdentityId::parse("d").unwrap()
    }

    async fn send(hub: &HubState, ack: &str, id: &str) {
        let properties = vec![("iothub-ack".into(), ack.into()), ("$.mid".into(), id.into())];
        let message = NewMessage { properties, body: Bytes::new() };
        hub.send_to_device(&device(), message).await.unwrap();
    }

    async fn acknowledge_all(hub: &HubState) {
        for message in hub.next_messages(&device(), 50, |_| false).await.unwrap() {
            hub.complete_message(&device(), message.number);
        }
    }

    /// The records of the next batch.
    async fn batch(hub: &HubState) -> Vec<Value> {
        hub.batch_feedback().unwrap();
        let Some(held) = hub.next_for_service(&hub.feedback.queue).await.unwrap() else { return Vec::new() };
        serde_json::from_str(&held.kept().message.body).unwrap()
    }

    /// What the records of the next batch tell, a quarter of a minute from now.
    async fn told(hub: &HubState) -> Vec<String> {
        hub.clock.advance(Duration::from_secs(15));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let told = |record: &Value| {
            format!("{} {}", text(&record["originalMessageId"]), text(&record["statusCode"]))
        };
        batch(hub).await.iter().map(told).collect()
    }

    async fn send_all(hub: &HubState) {
        for ack in ["none", "positive", "Negative", "full", ""] {
            send(hub, ack, ack).await;
        }
    }

    #[tokio::test]
    async fn a_sender_hears_of_the_outcomes_that_it_asked_for() {
        let hub = hub(settings()).await;
        send_all(&hub).await;
        acknowledge_all(&hub).await;
        assert_eq!(told(&hub).await, ["positive Success", "full Success"]);
        send_all(&hub).await;
        hub.purge_messages(&device()).await.unwrap();
        assert_eq!(told(&hub).await, ["Negative Purged", "full Purged"]);
        send_all(&hub).await;
        for _ in 0..11 {
            hub.next_messages(&device(), 50, |_| false).await.unwrap();
        }
        let gone = ["Negative DeliveryCountExceeded", "full DeliveryCountExceeded"];
        assert_eq!(told(&hub).await, gone);
    }

    #[tokio::test]
    async fn a_message_expires_by_time_though_nobody_asks_for_it() {
        let hub = hub(settings()).await;
        let expiring = tokio::spawn(hub.clone().keep_messages_expiring());
        let batching = tokio::spawn(hub.clone().keep_feedback_batched());
        send_all(&hub).await;
        // Each wait is for what the step before has led to.
        let queue = hub.feedback.queue.clone();
        let waiting = hub.wait_for_service(&queue);
        let moving = async {
            loop {
                hub.clock.advance(Duration::from_secs(60));
                tokio::task::yield_now().await;
            }
        };
        let held = tokio::select! { held = waiting => held.unwrap(), () = moving => unreachable!() };
        let records: Vec<Value> = serde_json::from_str(&held.message.body).unwrap();
        let codes: Vec<_> = records.iter().map(|record| record["statusCode"].as_str().unwrap()).collect();
        assert_eq!(codes, ["Expired", "Expired"]);
        assert!(hub.twin(&device()).await.unwrap().messages.is_empty());
        expiring.abort();
        batching.abort();
    }

    #[tokio::test]
    async fn a_record_has_the_fields_of_the_documentation() {
        let hub = hub(settings()).await;
        send(&hub, "full", "m-1").await;
        acknowledge_all(&hub).await;
        hub.clock.advance(Duration::from_secs(15));
        let generation = hub.twin(&device()).await.unwrap().identity.generation_id.clone();
        assert_eq!(
            Value::from(batch(&hub).await),
            json!([{
                "originalMessageId": "m-1",
                "enqueuedTimeUtc": "2024-03-01T10:15:30.0000000Z",
                "statusCode": "Success",
                "description": "Success",
                "deviceId": "d",
                "deviceGenerationId": generation,
            }])
        );
    }

    #[tokio::test]
    async fn a_batch_goes_when_it_is_full_or_its_first_record_has_waited_long_enough() {
        let hub = hub(settings()).await;
        for _ in 0..2 {
            for number in 0..40 {
                send(&hub, "full", &number.to_string()).await;
            }
            acknowledge_all(&hub).await;
        }
        assert_eq!(batch(&hub).await.len(), 64);
        assert_eq!(batch(&hub).await.len(), 0);
        hub.clock.advance(Duration::from_millis(14_999));
        assert_eq!(batch(&hub).await.len(), 0);
        hub.clock.advance(Duration::from_millis(1));
        assert_eq!(batch(&hub).await.len(), 16);
    }

    #[tokio::test]
    async fn feedback_and_expiry_outlive_the_hub() {
        let folder = tempfile::tempdir().unwrap();
        let settings = HubSettings { data: Some(folder.path().join("hub.redb")), ..settings() };
        let first = hub(settings.clone()).await;
        send(&first, "full", "1").await;
        acknowledge_all(&first).await;
        send(&first, "full", "2").await;
        first.store.close();
        let second = HubState::open(&settings).unwrap();
        second.clock.advance(Duration::from_secs(3600));
        second.expire_due();
        assert_eq!(told(&second).await, ["1 Success", "2 Expired"]);
    }
}
