//! Who is connected now: where desired properties are sent to, and how a connection is ended from outside.
//!
//! The store calls in while it holds its lock, so nothing here waits: patches go into a bounded queue per
//! connection, in the order of their versions. One connection per identity: the newest wins. Used by the
//! store, the REST endpoint and the MQTT endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::store::Sequence;
use crate::protocol::identity::IdentityId;
use crate::protocol::topics;

/// Patches that may wait for one connection. A client that reads nothing for so long is cut off: it gets
/// its twin when it comes back, while a patch left out could not be noticed.
const QUEUE_LENGTH: usize = 4096;

/// The connections of one hub. Cheap to clone.
#[derive(Clone, Default)]
pub struct Connections(Arc<Shared>);

struct Shared {
    table: Mutex<BTreeMap<IdentityId, Entry>>,
    next_number: AtomicU64,
    subscribed: watch::Sender<()>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { table: Mutex::default(), next_number: AtomicU64::new(0), subscribed: watch::Sender::new(()) }
    }
}

struct Entry {
    number: u64,
    filters: BTreeSet<String>,
    patches: mpsc::Sender<DesiredPatch>,
    close: oneshot::Sender<String>,
}

/// A change of desired properties on its way to a connection.
pub(super) struct DesiredPatch {
    pub(super) version: u64,
    pub(super) payload: Bytes,
    /// It must not leave before this change is on disk.
    pub(super) after: Sequence,
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
        let Some(entry) = table.get(id).filter(|entry| entry.filters.contains(topics::DESIRED_PATCHES))
        else {
            return;
        };
        if entry.patches.try_send(DesiredPatch { version, payload, after }).is_err() {
            remove(&mut table, id, "it does not read what it subscribed to");
        }
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

    /// End every connection.
    pub(super) fn close_all(&self, reason: &str) {
        for (_, entry) in std::mem::take(&mut *self.table()) {
            // The connection may be ending by itself.
            let _ = entry.close.send(reason.to_owned());
        }
    }

    /// Resolve when the identity is connected and subscribed to this filter.
    pub async fn wait_subscribed(&self, id: &IdentityId, filter: &str) {
        let mut changes = self.0.subscribed.subscribe();
        while !self.table().get(id).is_some_and(|entry| entry.filters.contains(filter)) {
            // The sender lives in `self`, so the wait can't fail.
            let _ = changes.changed().await;
        }
    }

    /// Register a new connection; an older one of the same identity is closed.
    pub(super) fn open(&self, id: &Arc<IdentityId>) -> Connection {
        let (patches, patch_queue) = mpsc::channel(QUEUE_LENGTH);
        let (close, closed) = oneshot::channel();
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table();
        remove(&mut table, id, "the same identity connected anew");
        table.insert(IdentityId::clone(id), Entry { number, filters: BTreeSet::new(), patches, close });
        Connection { connections: self.clone(), id: Arc::clone(id), number, patches: patch_queue, closed }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<IdentityId, Entry>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(table: &mut BTreeMap<IdentityId, Entry>, id: &IdentityId, reason: &str) {
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
    pub(super) patches: mpsc::Receiver<DesiredPatch>,
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
        assert_eq!(connection.patches.recv().await.unwrap().version, 3);
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
