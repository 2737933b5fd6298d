//! Messages to devices and to the inputs of modules: queued, delivered in order, removed when acknowledged.
//!
//! Back ends send cloud-to-device messages over AMQP (`amqp`), the hub's owner through `LocalHub` or the command, too. Messages to inputs come from IoT Edge's router in the real world.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d>

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::HubState;
use super::base64_body;
use super::deadlines::Deadlines;
use super::entity::Entity;
use super::error::HubError;
use super::feedback::{FeedbackRequest, MessageOutcome};
use super::message_queue::{QueuedMessage, Taken};
use super::store::{State, Transaction};
use super::twins::missing;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::properties;
use crate::protocol::timestamp::parse_timestamp;

/// How long a message is good for unless it says so itself, in milliseconds.
const DEFAULT_TIME_TO_LIVE: u64 = 3_600_000;
const LONGEST_TIME_TO_LIVE: u64 = 2 * 24 * 3_600_000;
/// System properties in the order of the real hub's topics; the application's follow as they were given.
const ORDER: [&str; 8] = ["$.mid", EXPIRY, TO, "$.cid", "$.uid", "$.ct", "$.ce", "iothub-ack"];
const EXPIRY: &str = "$.exp";
/// In bytes. Names and properties stand in the topic, which MQTT limits to 64 KiB.
const LONGEST_INPUT_NAME: usize = 128;
const LONGEST_PROPERTIES: usize = 64_000;
const TO: &str = "$.to";

/// A message as its sender gives it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NewMessage {
    /// Names and values: the application's, and system properties such as `$.mid`, `$.ct` and `$.exp`.
    #[serde(default)]
    pub properties: Vec<(String, String)>,
    /// Any bytes; base64 in JSON.
    #[serde(with = "base64_body")]
    pub body: Bytes,
}

/// What a queue may hold.
struct Limits {
    messages: usize,
    /// Of one message: body, names and values.
    bytes: usize,
}

const CLOUD_TO_DEVICE: Limits = Limits { messages: 50, bytes: 64 << 10 };
/// The size is IoT Edge's; it has no limit for the number.
const INPUT: Limits = Limits { messages: 1000, bytes: 256 << 10 };

impl HubState {
    /// Queue a cloud-to-device message; a subscribed device gets it at once, any other when it subscribes.
    ///
    /// # Errors
    /// 404 if there is no such device, 403 if 50 messages wait (403004) or its expiry is not within two days
    /// from now (403009), 413 above 64 KiB.
    pub async fn send_to_device(&self, device: &IdentityId, mut message: NewMessage) -> Result<(), HubError> {
        let id = device.parent();
        message.properties.retain(|(name, _)| name != TO);
        message.properties.push((TO.to_owned(), format!("/devices/{}/messages/devicebound", id.device)));
        self.queue_for_device(&id, message).await
    }

    /// The same for a message that says itself whom it is for, as those that come over AMQP do.
    ///
    /// # Errors
    /// As [`HubState::send_to_device`].
    pub(super) async fn queue_for_device(
        &self,
        device: &IdentityId,
        message: NewMessage,
    ) -> Result<(), HubError> {
        self.enqueue(device, None, message, &CLOUD_TO_DEVICE).await
    }

    /// Queue a message to one of a module's inputs.
    ///
    /// # Errors
    /// 404 if there is no such module, 400 without an input's name, 403 if 1000 messages wait or its expiry
    /// is not within two days from now, 413 above 256 KiB.
    pub async fn send_to_input(
        &self,
        module: &IdentityId,
        input: &str,
        message: NewMessage,
    ) -> Result<(), HubError> {
        if module.module.is_none() || !(1..=LONGEST_INPUT_NAME).contains(&input.len()) {
            let message = "A message to an input needs a module and the input's name of at most 128 bytes.";
            return Err(HubError::invalid(message));
        }
        self.enqueue(module, Some(input.to_owned()), message, &INPUT).await
    }

    async fn enqueue(
        &self,
        id: &IdentityId,
        input: Option<String>,
        message: NewMessage,
        limits: &Limits,
    ) -> Result<(), HubError> {
        let now = self.clock.unix_millis();
        let message = message.into_queued(input, limits, now)?;
        let change = self.store.write(|transaction| {
            let before = transaction.before();
            let mut entity = transaction.copy(id).ok_or_else(|| missing(before, id))?;
            self.expire_messages(transaction, id, &mut entity, now);
            if entity.messages.len() >= limits.messages {
                let message = format!("Device Queue depth cannot exceed {} messages", limits.messages);
                return Err(HubError::new(ErrorCode::QUEUE_DEPTH_EXCEEDED, message));
            }
            let expires = message.expires;
            entity.messages.push(message);
            transaction.put(id.clone(), entity);
            let (connections, deadlines, id) =
                (self.connections.clone(), Arc::clone(&self.deadlines), id.clone());
            transaction.then(move |_| {
                deadlines.add(&id, expires);
                connections.tell_of_message(&id);
            });
            Ok(())
        });
        change.await
    }

    /// Remove all messages that wait for a device, those included that it has and has not acknowledged. How many there
    /// were.
    ///
    /// # Errors
    /// 404 if there is no such device.
    pub async fn purge_messages(&self, device: &IdentityId) -> Result<usize, HubError> {
        let now = self.clock.unix_millis();
        let change = self.store.write(|transaction| {
            let mut entity = transaction.copy(device).ok_or_else(|| HubError::not_found(device))?;
            self.expire_messages(transaction, device, &mut entity, now);
            let purged = entity.messages.purge();
            self.tell_outcome(transaction, device, &entity, &purged, MessageOutcome::Purged, now);
            transaction.put(device.clone(), entity);
            Ok(purged.len())
        });
        change.await
    }

    /// The next messages for a connection, of which those are on their way already. Resolves when the disk
    /// knows of them and their delivery.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub(super) async fn next_messages(
        &self,
        id: &IdentityId,
        most: usize,
        on_its_way: impl Fn(u64) -> bool,
    ) -> Result<Vec<QueuedMessage>, HubError> {
        // Most looks find nothing, and none of them need wait for the disk.
        let has_more = self
            .store
            .peek(|state| state.get(id).is_some_and(|entity| entity.messages.has_more(&on_its_way)));
        if most == 0 || !has_more {
            return Ok(Vec::new());
        }
        let now = self.clock.unix_millis();
        let change = self.store.write(|transaction| {
            let Some(mut entity) = transaction.copy(id) else { return Ok(Taken::default()) };
            let taken = entity.messages.take(most, now, &on_its_way);
            for (message, outcome) in &taken.given_up {
                self.tell_outcome(transaction, id, &entity, std::slice::from_ref(message), *outcome, now);
            }
            transaction.put(id.clone(), entity);
            Ok(taken)
        });
        let taken = change.await?;
        Ok(taken.messages)
    }

    /// A message was acknowledged. Nobody is answered, so nobody waits for the disk: if it comes to nothing,
    /// the message is delivered once more.
    pub(super) fn complete_message(&self, id: &IdentityId, number: u64) {
        // Refused only if the data file can't be written, which every answer tells.
        let now = self.clock.unix_millis();
        let _ = self.store.write_behind(|transaction| {
            if let Some(mut entity) = transaction.copy(id)
                && let Some(message) = entity.messages.remove(number)
            {
                self.tell_outcome(transaction, id, &entity, &[message], MessageOutcome::Success, now);
                transaction.put(id.clone(), entity);
            }
            Ok(())
        });
    }

    /// Give up messages when their time is over. Never resolves.
    pub(super) async fn keep_messages_expiring(self) {
        loop {
            self.expire_due();
            tokio::select! {
                () = self.clock.sleep_until(self.deadlines.first().unwrap_or(u64::MAX)) => {}
                () = self.deadlines.earlier() => {}
            }
        }
    }

    pub(super) fn expire_due(&self) {
        let now = self.clock.unix_millis();
        for id in self.deadlines.take_due(now) {
            // Refused only if the data file can't be written, which every answer tells.
            let _ = self.store.write_behind(|transaction| {
                let Some(mut entity) = transaction.copy(&id) else { return Ok(()) };
                if self.expire_messages(transaction, &id, &mut entity, now) {
                    transaction.put(id.clone(), entity);
                }
                Ok(())
            });
            // After the change: a message that comes meanwhile brings its own deadline.
            let next = self.store.peek(|state| state.get(&id)?.messages.next_expiry());
            if let Some(next) = next {
                self.deadlines.add(&id, next);
            }
        }
    }

    /// Remove what is too late; whether anything was.
    fn expire_messages(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        entity: &mut Entity,
        now: u64,
    ) -> bool {
        let expired = entity.messages.expire(now);
        self.tell_outcome(transaction, id, entity, &expired, MessageOutcome::Expired, now);
        !expired.is_empty()
    }

    /// Tell what became of messages that are not in the queue any more.
    fn tell_outcome(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        entity: &Entity,
        messages: &[QueuedMessage],
        outcome: MessageOutcome,
        now: u64,
    ) {
        for message in messages {
            self.feedback.tell(transaction, (id, entity), (message, outcome), now);
            if matches!(outcome, MessageOutcome::Expired | MessageOutcome::DeliveryCountExceeded) {
                let (number, why) = (message.number, outcome.description());
                self.notices.tell(|| format!("message {number} to {id} was given up: {why}"));
            }
        }
    }
}

/// The deadlines of all queues.
pub(super) fn deadlines(state: &State) -> Deadlines {
    let deadlines = Deadlines::default();
    for (id, entity) in state.after(None) {
        if let Some(expiry) = entity.messages.next_expiry() {
            deadlines.add(id, expiry);
        }
    }
    deadlines
}

impl NewMessage {
    fn into_queued(
        mut self,
        input: Option<String>,
        limits: &Limits,
        now: u64,
    ) -> Result<QueuedMessage, HubError> {
        let expires = self.expiry(now)?;
        let feedback = FeedbackRequest::of(&self.properties);
        let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
        self.properties.sort_by_key(|(name, _)| place(name));
        let pairs = self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let properties = properties::encode(pairs.clone());
        let bytes = self.body.len() + pairs.map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if bytes > limits.bytes || properties.len() > LONGEST_PROPERTIES {
            let message = format!(
                "The message has {bytes} bytes, and its properties {} when encoded: at most {} and {LONGEST_PROPERTIES} are allowed.",
                properties.len(),
                limits.bytes
            );
            return Err(HubError::new(ErrorCode::MESSAGE_TOO_LARGE, message));
        }
        Ok(QueuedMessage { number: 0, input, properties, body: self.body, expires, deliveries: 0, feedback })
    }

    fn expiry(&self, now: u64) -> Result<u64, HubError> {
        let Some((_, text)) = self.properties.iter().find(|(name, _)| name == EXPIRY) else {
            return Ok(now + DEFAULT_TIME_TO_LIVE);
        };
        let in_time = |expires: &u64| (now + 1..=now + LONGEST_TIME_TO_LIVE).contains(expires);
        parse_timestamp(text).filter(in_time).ok_or_else(|| {
            let message = format!("The expiry {EXPIRY} is '{text}', and has to be within two days from now.");
            HubError::new(ErrorCode::INVALID_EXPIRY, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::hub::HubSettings;
    use crate::hub::registry::IdentityBody;

    const NOW: u64 = 1_709_288_130_000;

    async fn hub() -> HubState {
        let settings = HubSettings { clock: Clock::manual(NOW), ..HubSettings::default() };
        let hub = HubState::open(&settings).unwrap();
        for name in ["d", "d/m"] {
            hub.put_identity(&id(name), IdentityBody::default(), None).await.unwrap();
        }
        hub
    }

    fn id(text: &str) -> IdentityId {
        IdentityId::parse(text).unwrap()
    }

    fn message(properties: &[(&str, &str)]) -> NewMessage {
        let properties = properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        NewMessage { properties, body: Bytes::from_static(b"hello") }
    }

    #[tokio::test]
    async fn topics_are_those_of_the_real_hub() {
        let hub = hub().await;
        let given = [
            ("b", "é"),
            ("iothub-ack", "none"),
            ("$.ce", "utf-8"),
            ("a", ""),
            ("$.mid", "2c2d"),
            ("$.to", "x"),
        ];
        hub.send_to_device(&id("d"), message(&given)).await.unwrap();
        hub.send_to_input(&id("d/m"), "in 1", message(&[("$.cid", "c"), ("k", "v")])).await.unwrap();
        let topic = async |name| {
            let messages = hub.next_messages(&id(name), 50, |_| false).await.unwrap();
            messages[0].topic(&id(name))
        };
        assert_eq!(
            topic("d").await,
            "devices/d/messages/devicebound/%24.mid=2c2d&%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&%24.ce=utf-8&iothub-ack=none&b=%C3%A9&a="
        );
        assert_eq!(topic("d/m").await, "devices/d/modules/m/inputs/in%201/%24.cid=c&k=v");
    }

    #[tokio::test]
    async fn fifty_messages_wait_for_a_device_and_no_more() {
        let hub = hub().await;
        for _ in 0..50 {
            hub.send_to_device(&id("d"), message(&[])).await.unwrap();
        }
        let refused = hub.send_to_device(&id("d"), message(&[])).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::QUEUE_DEPTH_EXCEEDED);
        // After an hour nobody waits for them any more.
        hub.clock.advance(std::time::Duration::from_secs(3600));
        hub.send_to_device(&id("d"), message(&[])).await.unwrap();
        assert_eq!(hub.twin(&id("d")).await.unwrap().messages.len(), 1);
    }

    #[tokio::test]
    async fn a_purge_removes_what_waits_and_what_is_on_its_way_but_not_what_comes_later() {
        let hub = hub().await;
        for _ in 0..3 {
            hub.send_to_device(&id("d"), message(&[])).await.unwrap();
        }
        let sent = hub.next_messages(&id("d"), 1, |_| false).await.unwrap();
        assert_eq!(hub.purge_messages(&id("d")).await, Ok(3));
        assert_eq!(hub.purge_messages(&id("d")).await, Ok(0));
        hub.send_to_device(&id("d"), message(&[])).await.unwrap();
        hub.complete_message(&id("d"), sent[0].number);
        assert_eq!(hub.next_messages(&id("d"), 50, |_| false).await.unwrap().len(), 1);
        // What has expired is not purged but gone.
        hub.clock.advance(std::time::Duration::from_secs(3600));
        assert_eq!(hub.purge_messages(&id("d")).await, Ok(0));
        assert_eq!(hub.purge_messages(&id("e")).await.unwrap_err().code(), ErrorCode::DEVICE_NOT_FOUND);
    }

    #[tokio::test]
    async fn what_can_not_be_delivered_is_refused() {
        let hub = hub().await;
        for (properties, code) in [
            (&[("$.exp", "tomorrow")], ErrorCode::INVALID_EXPIRY),
            (&[("$.exp", "2024-03-01T10:15:30Z")], ErrorCode::INVALID_EXPIRY),
            (&[("$.exp", "2024-03-03T10:15:31Z")], ErrorCode::INVALID_EXPIRY),
            (&[("k", &*"x".repeat(64 << 10))], ErrorCode::MESSAGE_TOO_LARGE),
            (&[("k", &*" ".repeat(30_000))], ErrorCode::MESSAGE_TOO_LARGE),
        ] {
            let refused = hub.send_to_device(&id("d"), message(properties)).await.unwrap_err();
            assert_eq!(refused.code(), code);
        }
        hub.send_to_device(&id("d"), message(&[("$.exp", "2024-03-03T10:15:30Z")])).await.unwrap();
        for (name, code) in [("e", ErrorCode::DEVICE_NOT_FOUND), ("d/x", ErrorCode::MODULE_NOT_FOUND)] {
            let id = id(name);
            let refused = match &id.module {
                None => hub.send_to_device(&id, message(&[])).await,
                Some(_) => hub.send_to_input(&id, "in", message(&[])).await,
            };
            assert_eq!(refused.unwrap_err().code(), code);
        }
        let refused = hub.send_to_input(&id("d/m"), "", message(&[])).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::ARGUMENT_INVALID);
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_gone_and_the_rest_is_counted() {
        let hub = hub().await;
        for _ in 0..2 {
            hub.send_to_device(&id("d"), message(&[])).await.unwrap();
        }
        let first = hub.next_messages(&id("d"), 1, |_| false).await.unwrap();
        hub.complete_message(&id("d"), first[0].number);
        let entity = hub.twin(&id("d")).await.unwrap();
        assert_eq!(entity.messages.len(), 1);
        assert_eq!(hub.next_messages(&id("d"), 0, |_| false).await.unwrap(), []);
    }
}
