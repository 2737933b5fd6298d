//! Who is connected now: where desired properties and direct methods are sent to, and how a connection is
//! ended from outside.
//!
//! The store calls in while it holds its lock, so nothing here waits: what is for a device goes into a
//! bounded queue per connection, patches in the order of their versions. One connection per identity: the newest wins. Used by the
//! store, the REST endpoint and the MQTT endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::keys::random_bytes;
use super::store::Sequence;
use crate::protocol::identity::IdentityId;
use crate::protocol::topics;

/// Patches and calls that may wait for one connection. A client that reads nothing for so long is cut off:
/// it gets its twin when it comes back, while a patch left out could not be noticed.
const QUEUE_LENGTH: usize = 4096;

/// The connections of one hub. Cheap to clone.
#[derive(Clone, Default)]
pub struct Connections(Arc<Shared>);

type Table = BTreeMap<IdentityId, Entry>;

struct Shared {
    table: Mutex<Table>,
    next_number: AtomicU64,
    next_call: AtomicU64,
    subscribed: watch::Sender<()>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            table: Mutex::default(),
            next_number: AtomicU64::new(0),
            // Anywhere: a late response to a call of an earlier hub must not answer one of this hub.
            next_call: AtomicU64::new(u32::from_be_bytes(random_bytes()).into()),
            subscribed: watch::Sender::new(()),
        }
    }
}

struct Entry {
    number: u64,
    filters: BTreeSet<String>,
    deliveries: mpsc::Sender<Delivery>,
    messages: Arc<Notify>,
    close: oneshot::Sender<String>,
}

/// What the hub has for a connection.
pub(super) enum Delivery {
    /// A change of desired properties.
    Patch(DesiredPatch),
    /// A call of a direct method.
    Call(MethodCall),
}

/// A change of desired properties on its way to a connection.
pub(super) struct DesiredPatch {
    pub(super) version: u64,
    pub(super) payload: Bytes,
    /// It must not leave before this change is on disk.
    pub(super) after: Sequence,
}

/// A call of a direct method on its way to a connection.
pub(super) struct MethodCall {
    /// Different from that of any other call, also to other connections.
    pub(super) request_id: String,
    pub(super) name: String,
    pub(super) payload: Bytes,
    /// Who waits for the response. Dropped without one when the connection ends.
    pub(super) caller: oneshot::Sender<MethodResponse>,
}

/// What a device answered to a call.
pub(super) struct MethodResponse {
    pub(super) status: i64,
    pub(super) payload: Bytes,
}

impl Entry {
    fn takes_method(&self, name: &str) -> bool {
        self.filters.contains(topics::METHODS) || self.filters.contains(&topics::method_filter(name))
    }
}

impl Connections {
    /// Whether the identity has a connection.
    #[must_use]
    pub fn is_connected(&self, id: &IdentityId) -> bool {
        self.table().contains_key(id)
    }

    /// Queue a desired-properties patch, if the identity is connected and subscribed to patches.
    /// Called while the store's lock is held, so that the order is that of the versions.
    pub fn desired_patch(&self, id: &IdentityId, version: u64, payload: Bytes, after: Sequence) {
        let mut table = self.table();
        if table.get(id).is_some_and(|entry| entry.filters.contains(topics::DESIRED_PATCHES)) {
            deliver(&mut table, id, Delivery::Patch(DesiredPatch { version, payload, after }));
        }
    }

    /// Have the identity's connection look for messages, if there is one.
    pub(super) fn tell_of_message(&self, id: &IdentityId) {
        if let Some(entry) = self.table().get(id) {
            entry.messages.notify_one();
        }
    }

    /// Queue a call of a direct method, once the identity is connected and subscribed to it. The receiver
    /// gets the response, or an error when the connection ends without one.
    pub(super) async fn call_method(
        &self,
        id: &IdentityId,
        name: &str,
        payload: &Bytes,
    ) -> oneshot::Receiver<MethodResponse> {
        self.once_possible(|table| {
            table.get(id).filter(|entry| entry.takes_method(name))?;
            let (caller, response) = oneshot::channel();
            let request_id = format!("{:x}", self.0.next_call.fetch_add(1, Ordering::Relaxed));
            let call = MethodCall { request_id, name: name.to_owned(), payload: payload.clone(), caller };
            deliver(table, id, Delivery::Call(call));
            Some(response)
        })
        .await
    }

    /// End the identity's connection: deleted, disabled, its keys changed. For a device, those of its
    /// modules too.
    pub fn close(&self, id: &IdentityId, reason: &str) {
        let mut table = self.table();
        let of_device = |other: &&IdentityId| other.device == id.device;
        let ids: Vec<IdentityId> = match id.module {
            Some(_) => vec![id.clone()],
            None => table.range(id.clone()..).map(|(id, _)| id).take_while(of_device).cloned().collect(),
        };
        for id in ids {
            remove(&mut table, &id, reason);
        }
    }

    /// End the identity's connection, and no other.
    pub(super) fn close_one(&self, id: &IdentityId, reason: &str) {
        remove(&mut self.table(), id, reason);
    }

    /// End every connection.
    pub(super) fn close_all(&self, reason: &str) {
        for (_, entry) in std::mem::take(&mut *self.table()) {
            // The connection may be ending by itself.
            let _ = entry.close.send(reason.to_owned());
        }
    }

    /// Resolve when the identity is connected and subscribed to this filter.
    pub async fn wait_subscribed(&self, id: &IdentityId, filter: &str) {
        self.once_possible(|table| table.get(id).filter(|entry| entry.filters.contains(filter)).map(drop))
            .await;
    }

    /// Attempt something now and at every change of subscriptions, until it works.
    async fn once_possible<T>(&self, mut attempt: impl FnMut(&mut Table) -> Option<T>) -> T {
        let mut changes = self.0.subscribed.subscribe();
        loop {
            let outcome = attempt(&mut self.table());
            if let Some(outcome) = outcome {
                return outcome;
            }
            // The sender lives in `self`, so the wait can't fail.
            let _ = changes.changed().await;
        }
    }

    /// Register a new connection; an older one of the same identity is closed.
    pub(super) fn open(&self, id: &Arc<IdentityId>) -> Connection {
        let (deliveries, queue) = mpsc::channel(QUEUE_LENGTH);
        let (close, closed) = oneshot::channel();
        let messages = Arc::new(Notify::new());
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table();
        remove(&mut table, id, "the same identity connected anew");
        let filters = BTreeSet::new();
        let entry = Entry { number, filters, deliveries, messages: Arc::clone(&messages), close };
        table.insert(IdentityId::clone(id), entry);
        Connection {
            connections: self.clone(),
            id: Arc::clone(id),
            number,
            deliveries: queue,
            messages,
            closed,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queue something for a connection, or cut it off if it does not take what it has.
fn deliver(table: &mut Table, id: &IdentityId, delivery: Delivery) {
    let taken = table.get(id).is_some_and(|entry| entry.deliveries.try_send(delivery).is_ok());
    if !taken {
        remove(table, id, "it does not read what it subscribed to");
    }
}

fn remove(table: &mut Table, id: &IdentityId, reason: &str) {
    if let Some(entry) = table.remove(id) {
        // The connection may be ending by itself.
        let _ = entry.close.send(reason.to_owned());
    }
}

/// A connection's own end: what it is told, and its entry in the table as long as it lives.
pub(super) struct Connection {
    connections: Connections,
    id: Arc<IdentityId>,
    number: u64,
    /// What to send. Ends when the entry was removed.
    pub(super) deliveries: mpsc::Receiver<Delivery>,
    /// Permits to look for messages: some have come, or there is room for more.
    pub(super) messages: Arc<Notify>,
    /// Why to end.
    pub(super) closed: oneshot::Receiver<String>,
}

impl Connection {
    /// From now on patches are queued if these filters ask for them, and those who wait are told.
    pub(super) fn set_filters<'a>(&self, filters: impl Iterator<Item = &'a String>) {
        let mut table = self.connections.table();
        if let Some(entry) = table.get_mut(&self.id).filter(|entry| entry.number == self.number) {
            entry.filters = filters.cloned().collect();
            drop(table);
            self.connections.0.subscribed.send_replace(());
        }
    }

    /// Leave the table, in which a newer connection may have taken the place.
    pub(super) fn leave(&self) {
        let mut table = self.connections.table();
        if table.get(&self.id).is_some_and(|entry| entry.number == self.number) {
            table.remove(&self.id);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Arc<IdentityId> {
        Arc::new(IdentityId::parse(text).unwrap())
    }

    fn next_patch(connection: &mut Connection) -> DesiredPatch {
        let Ok(Delivery::Patch(patch)) = connection.deliveries.try_recv() else { panic!("no patch") };
        patch
    }

    fn subscribe(connection: &Connection) {
        connection.set_filters([topics::DESIRED_PATCHES.to_owned()].iter());
    }

    #[tokio::test]
    async fn a_patch_reaches_only_a_subscribed_connection() {
        let connections = Connections::default();
        let mut connection = connections.open(&id("d/m"));
        connections.desired_patch(&id("d/m"), 2, Bytes::from_static(b"{}"), Sequence::default());
        subscribe(&connection);
        connections.desired_patch(&id("d/m"), 3, Bytes::from_static(b"{}"), Sequence::default());
        assert_eq!(next_patch(&mut connection).version, 3);
    }

    #[tokio::test]
    async fn the_newest_connection_wins_and_the_old_one_is_told_to_end() {
        let connections = Connections::default();
        let mut old = connections.open(&id("d"));
        let new = connections.open(&id("d"));
        assert_eq!((&mut old.closed).await.unwrap(), "the same identity connected anew");
        drop(old);
        assert!(connections.is_connected(&id("d")));
        drop(new);
        assert!(!connections.is_connected(&id("d")));
    }

    #[tokio::test]
    async fn closing_a_device_closes_its_modules_and_nobody_else() {
        let connections = Connections::default();
        let open: Vec<_> =
            ["d", "d/m", "d.x", "c"].iter().map(|text| (*text, connections.open(&id(text)))).collect();
        connections.close(&id("d"), "deleted");
        for (text, mut connection) in open {
            assert_eq!(connection.closed.try_recv().is_ok(), text == "d" || text == "d/m", "{text}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_reads_nothing_is_cut_off() {
        let connections = Connections::default();
        let mut connection = connections.open(&id("d"));
        subscribe(&connection);
        for version in 0..=QUEUE_LENGTH as u64 {
            connections.desired_patch(&id("d"), version, Bytes::new(), Sequence::default());
        }
        assert!(connection.closed.try_recv().is_ok());
        assert!(!connections.is_connected(&id("d")));
    }

    #[tokio::test]
    async fn a_method_is_called_where_its_name_is_subscribed_to_and_its_caller_hears_of_the_end() {
        let connections = Connections::default();
        let (id, payload) = (id("d"), Bytes::from_static(b"null"));
        let mut connection = connections.open(&id);
        connection.set_filters([topics::method_filter("reboot")].iter());
        let others = connections.call_method(&id, "other", &payload);
        assert!(tokio::time::timeout(std::time::Duration::ZERO, others).await.is_err());
        let response = connections.call_method(&id, "reboot", &payload).await;
        let Ok(Delivery::Call(call)) = connection.deliveries.try_recv() else { panic!("no call") };
        assert_eq!(call.name, "reboot");
        drop(call);
        assert!(response.await.is_err());
    }

    #[tokio::test]
    async fn who_waits_for_a_subscription_is_woken_by_it() {
        let connections = Connections::default();
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.wait_subscribed(&id("d/m"), topics::DESIRED_PATCHES).await }
        });
        let connection = connections.open(&id("d/m"));
        subscribe(&connection);
        tokio::time::timeout(std::time::Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }
}
