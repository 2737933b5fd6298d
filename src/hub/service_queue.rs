//! The queues that back ends read: feedback on messages to devices, and notifications of uploaded files.
//!
//! A receiver gets a message under a lock, for itself until it settles it or the lock ends. Messages are records of the
//! store, so with a data file they outlive the hub; locks are in memory, so after a start every message is free.
//! Used by the AMQP links and the REST paths `/messages/serviceBound/…`.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d#cloud-to-device-configuration-options>

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use super::HubState;
use super::error::HubError;
use super::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;

/// Azure's defaults, in milliseconds.
const LOCK: u64 = 60_000;
const TIME_TO_LIVE: u64 = 3_600_000;
/// Given back so often, a message is given up.
const MOST_DELIVERIES: u32 = 10;
/// Beyond it the oldest are given up: nobody reads them.
const MOST_MESSAGES: usize = 10_000;

/// One such queue. Clones are handles to the same.
#[derive(Clone)]
pub struct ServiceQueue(Arc<Shared>);

struct Shared {
    /// What the names of its records begin with; the rest is the message's number.
    prefix: &'static str,
    next: AtomicU64,
    /// By the message's number.
    locks: Mutex<BTreeMap<u64, Lock>>,
    changed: watch::Sender<()>,
}

#[derive(Clone, Copy)]
struct Lock {
    token: Uuid,
    until: u64,
}

/// A message to back ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMessage {
    /// When it came into the queue, milliseconds since 1970.
    pub enqueued_unix_millis: u64,
    /// How often a receiver has given it back.
    pub deliveries: u32,
    /// JSON.
    pub body: String,
}

/// What a receiver does with a message that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It has read it.
    Complete,
    /// Somebody is to get it once more.
    Abandon,
    /// Nobody is to get it any more.
    Reject,
}

/// A message that one receiver has. Dropped unsettled, it is free for others, as if it had never been given out.
pub struct Held {
    queue: ServiceQueue,
    /// Its place in the order of the queue.
    pub number: u64,
    /// By which its receiver settles it.
    pub token: Uuid,
    /// Until when the lock lasts, milliseconds since 1970.
    pub until: u64,
    /// The message.
    pub message: ServiceMessage,
    is_kept: bool,
}

impl ServiceMessage {
    /// When it is too late to read it, milliseconds since 1970.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.enqueued_unix_millis + TIME_TO_LIVE
    }
}

impl Held {
    /// Keep the lock to its end: the receiver comes back with the token.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.is_kept = true;
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_kept {
            self.queue.release(self.number, self.token);
        }
    }
}

impl ServiceQueue {
    /// A queue with the messages whose names begin with this.
    pub(super) fn restored(prefix: &'static str, state: &State) -> Self {
        let next = AtomicU64::new(next_number(prefix, state));
        Self(Arc::new(Shared { prefix, next, locks: Mutex::default(), changed: watch::Sender::new(()) }))
    }

    /// Add a message in a change, and remove what has become too old or too much.
    pub(super) fn push(
        &self,
        transaction: &mut Transaction<'_>,
        body: String,
        now: u64,
    ) -> Result<(), HubError> {
        let before = transaction.before();
        let too_many = (before.records(self.0.prefix).count() + 1).saturating_sub(MOST_MESSAGES);
        let stale: Vec<String> = before
            .records(self.0.prefix)
            .enumerate()
            .take_while(|(place, (_, text))| {
                *place < too_many || read(text).is_none_or(|old| old.expires() <= now)
            })
            .map(|(_, (name, _))| name.to_owned())
            .collect();
        for name in stale {
            transaction.remove_record(name);
        }
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let message = ServiceMessage { enqueued_unix_millis: now, deliveries: 0, body };
        transaction.put_json(self.name(number), &message)?;
        let queue = self.clone();
        transaction.then(move |_| queue.tell());
        Ok(())
    }

    /// Lock the first message that is free. Called while the store's lock is held.
    fn lock_first(&self, state: &State, now: u64) -> Option<Held> {
        let mut locks = self.locks();
        locks.retain(|_, lock| lock.until > now);
        let free = |(name, text): (&str, &str)| {
            let number = name[self.0.prefix.len()..].parse().ok()?;
            let message = read(text).filter(|message| message.expires() > now)?;
            (!locks.contains_key(&number)).then_some((number, message))
        };
        let (number, message) = state.records(self.0.prefix).find_map(free)?;
        let (token, until) = (Uuid::new_v4(), now + LOCK);
        locks.insert(number, Lock { token, until });
        Some(Held { queue: self.clone(), number, token, until, message, is_kept: false })
    }

    /// End the lock with this token: the number of its message.
    fn unlock(&self, token: Uuid, now: u64) -> Option<u64> {
        let mut locks = self.locks();
        let mut all = locks.iter();
        let number = *all.find(|(_, lock)| lock.token == token && lock.until > now)?.0;
        locks.remove(&number);
        Some(number)
    }

    fn release(&self, number: u64, token: Uuid) {
        let mut locks = self.locks();
        if locks.get(&number).is_some_and(|lock| lock.token == token) {
            locks.remove(&number);
            drop(locks);
            self.tell();
        }
    }

    /// When the next lock ends.
    fn next_release(&self) -> u64 {
        self.locks().values().map(|lock| lock.until).min().unwrap_or(u64::MAX)
    }

    /// Have receivers that wait look again.
    fn tell(&self) {
        self.0.changed.send_replace(());
    }

    fn name(&self, number: u64) -> String {
        numbered(self.0.prefix, number)
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<u64, Lock>> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(text: &str) -> Option<ServiceMessage> {
    serde_json::from_str(text).ok()
}

/// The name of a record; the order of names is that of numbers.
pub(super) fn numbered(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:020}")
}

/// The number after the highest in these records' names.
pub(super) fn next_number(prefix: &str, state: &State) -> u64 {
    let last = state.records(prefix).last().and_then(|(name, _)| name[prefix.len()..].parse::<u64>().ok());
    last.map_or(0, |last| last + 1)
}

impl HubState {
    /// The next message for a receiver, if there is one now.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn next_for_service(&self, queue: &ServiceQueue) -> Result<Option<Held>, HubError> {
        let now = self.clock.unix_millis();
        self.store.read(|state| queue.lock_first(state, now)).await
    }

    /// The next message for a receiver, when there is one.
    ///
    /// # Errors
    /// As [`HubState::next_for_service`].
    pub async fn wait_for_service(&self, queue: &ServiceQueue) -> Result<Held, HubError> {
        let mut changes = queue.0.changed.subscribe();
        loop {
            if let Some(held) = self.next_for_service(queue).await? {
                return Ok(held);
            }
            tokio::select! {
                // The sender lives in `queue`, so the wait can't fail.
                _ = changes.changed() => {}
                () = self.clock.sleep_until(queue.next_release()) => {}
            }
        }
    }

    /// A receiver says what is to become of a message that it has.
    ///
    /// # Errors
    /// 412002 if its lock has ended.
    pub async fn settle_for_service(
        &self,
        queue: &ServiceQueue,
        token: Uuid,
        settlement: Settlement,
    ) -> Result<(), HubError> {
        let now = self.clock.unix_millis();
        let change = self.store.write(|transaction| {
            let lost = || {
                let message =
                    "The lock of the message has ended: it was settled, or others may have it by now.";
                HubError::new(ErrorCode::MESSAGE_LOCK_LOST, message)
            };
            let name = queue.name(queue.unlock(token, now).ok_or_else(lost)?);
            let message: Option<ServiceMessage> = transaction.before().json(&name);
            match (settlement, message) {
                (Settlement::Abandon, Some(message)) if message.deliveries + 1 < MOST_DELIVERIES => {
                    let queue = queue.clone();
                    transaction.then(move |_| queue.tell());
                    let deliveries = message.deliveries + 1;
                    transaction.put_json(name, &ServiceMessage { deliveries, ..message })?;
                    Ok(None)
                }
                (_, message) => {
                    transaction.remove_record(name);
                    Ok(message.filter(|_| settlement != Settlement::Complete))
                }
            }
        });
        if let Some(given_up) = change.await? {
            let why = if settlement == Settlement::Reject { "rejected" } else { "given back 10 times" };
            self.notices
                .tell(|| format!("a message to back ends was {why}, and is given up: {}", given_up.body));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::hub::HubSettings;

    const NOW: u64 = 1_709_288_130_000;

    fn hub() -> HubState {
        let settings = HubSettings { clock: Clock::manual(NOW), ..HubSettings::default() };
        HubState::open(&settings).unwrap()
    }

    async fn push(hub: &HubState, body: &str) {
        let now = hub.clock.unix_millis();
        let change = |transaction: &mut Transaction<'_>| {
            hub.file_notifications.push(transaction, body.to_owned(), now)
        };
        hub.store.write(change).await.unwrap();
    }

    async fn next(hub: &HubState) -> Option<Held> {
        hub.next_for_service(&hub.file_notifications).await.unwrap()
    }

    async fn settle(hub: &HubState, token: Uuid, settlement: Settlement) -> Result<(), ErrorCode> {
        hub.settle_for_service(&hub.file_notifications, token, settlement).await.map_err(|error| error.code())
    }

    #[tokio::test]
    async fn a_message_is_its_receivers_until_it_is_settled_and_in_order() {
        let hub = hub();
        push(&hub, "1").await;
        push(&hub, "2").await;
        let (first, second) = (next(&hub).await.unwrap(), next(&hub).await.unwrap());
        assert_eq!((first.message.body.as_str(), second.message.body.as_str()), ("1", "2"));
        assert!(next(&hub).await.is_none());
        settle(&hub, second.token, Settlement::Complete).await.unwrap();
        assert_eq!(settle(&hub, second.token, Settlement::Complete).await, Err(ErrorCode::MESSAGE_LOCK_LOST));
        // Its receiver is gone.
        drop(first);
        let again = next(&hub).await.unwrap();
        assert_eq!((again.message.body.as_str(), again.message.deliveries), ("1", 0));
    }

    #[tokio::test]
    async fn a_lock_ends_after_a_minute_and_a_late_settlement_is_refused() {
        let hub = hub();
        push(&hub, "1").await;
        let late = next(&hub).await.unwrap().kept();
        let waiting = tokio::spawn({
            let hub = hub.clone();
            async move { hub.wait_for_service(&hub.file_notifications).await.unwrap().kept() }
        });
        hub.clock.advance(Duration::from_secs(60));
        let other = waiting.await.unwrap();
        assert_eq!(settle(&hub, late.token, Settlement::Complete).await, Err(ErrorCode::MESSAGE_LOCK_LOST));
        settle(&hub, other.token, Settlement::Complete).await.unwrap();
        hub.clock.advance(Duration::from_secs(60));
        assert!(next(&hub).await.is_none());
    }

    #[tokio::test]
    async fn what_was_given_back_ten_times_or_rejected_or_waited_an_hour_is_given_up() {
        let hub = hub();
        push(&hub, "1").await;
        for deliveries in 0..10 {
            let held = next(&hub).await.unwrap();
            assert_eq!(held.message.deliveries, deliveries);
            settle(&hub, held.token, Settlement::Abandon).await.unwrap();
        }
        assert!(next(&hub).await.is_none());
        push(&hub, "2").await;
        settle(&hub, next(&hub).await.unwrap().token, Settlement::Reject).await.unwrap();
        assert!(next(&hub).await.is_none());
        push(&hub, "3").await;
        hub.clock.advance(Duration::from_secs(3600));
        assert!(next(&hub).await.is_none());
        push(&hub, "4").await;
        assert_eq!(hub.store.peek(|state| state.records(hub.file_notifications.0.prefix).count()), 1);
    }

    #[tokio::test]
    async fn what_waits_outlives_the_hub_and_its_number_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let data = Some(folder.path().join("hub.redb"));
        let settings = HubSettings { clock: Clock::manual(NOW), data, ..HubSettings::default() };
        let first = HubState::open(&settings).unwrap();
        push(&first, "1").await;
        let _held = next(&first).await.unwrap();
        first.store.close();
        let second = HubState::open(&settings).unwrap();
        push(&second, "2").await;
        let held = next(&second).await.unwrap();
        assert_eq!(held.message.body, "1");
        assert!(next(&second).await.unwrap().number > held.number);
    }
}
