//! The hub's state: all entities in memory behind one lock, and a journal that brings changes to disk.
//!
//! A change is applied at once and queued for the journal under the same lock, so that memory, disk and
//! what devices are told have one order. Whoever changed or looked waits for the disk before answering:
//! no answer tells of something that a crash could take back. Without a journal nobody waits.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entity::Entity;
use super::error::HubError;
use super::events::Log;
use super::journal::Journal;
use super::touched::Watch;
use crate::protocol::identity::IdentityId;

/// The number of a change: grows by one with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(u64);

/// What one change writes: entities and records as they are now, or none where one was removed, and what devices
/// sent.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) entities: BTreeMap<IdentityId, Option<Arc<Entity>>>,
    pub(super) records: BTreeMap<String, Option<Arc<str>>>,
    pub(super) log: Log,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.entities.is_empty() && self.records.is_empty()
    }

    /// Make this change and a later one into one.
    pub(super) fn extend(&mut self, later: Self) {
        self.entities.extend(later.entities);
        self.records.extend(later.records);
        self.log.extend(later.log);
    }
}

/// All entities. Clones are handles to the same state.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    current: Mutex<Current>,
    journal: Option<Journal>,
    watch: Arc<Watch>,
    observer: OnceLock<Box<Observer>>,
}

/// Told of each entity that changes: what it was, and what it is. Under the lock: it must be quick, and not use the store.
type Observer = dyn Fn(&IdentityId, Option<&Arc<Entity>>, Option<&Arc<Entity>>) + Send + Sync;

struct Current {
    state: State,
    newest: Sequence,
}

/// The entities at one moment, and what else the hub keeps.
#[derive(Default)]
pub struct State {
    entities: BTreeMap<IdentityId, Arc<Entity>>,
    records: BTreeMap<String, Arc<str>>,
}

impl State {
    /// One entity.
    #[must_use]
    pub fn get(&self, id: &IdentityId) -> Option<&Arc<Entity>> {
        self.entities.get(id)
    }

    /// The devices, in the order of their names.
    pub fn devices(&self) -> impl Iterator<Item = (&IdentityId, &Arc<Entity>)> {
        self.entities.iter().filter(|(id, _)| id.module.is_none())
    }

    /// The modules on a device, in the order of their names.
    pub fn modules(&self, device: &IdentityId) -> impl Iterator<Item = (&IdentityId, &Arc<Entity>)> {
        // They stand right after their device.
        let after = (Bound::Excluded(device.parent()), Bound::Unbounded);
        let name = device.device.clone();
        self.entities.range(after).take_while(move |(id, _)| id.device == name)
    }

    /// The devices and modules that come after this one, or all; each device right before its modules.
    pub fn after(&self, id: Option<&IdentityId>) -> impl Iterator<Item = (&IdentityId, &Arc<Entity>)> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.entities.range::<IdentityId, _>((from, Bound::Unbounded))
    }

    /// All devices and modules, each device right before its modules.
    pub fn ids(&self) -> impl Iterator<Item = &IdentityId> {
        self.entities.keys()
    }

    /// What is kept beside devices and modules under names that begin so: each name, and its text.
    pub fn records<'state>(
        &'state self,
        prefix: &'state str,
    ) -> impl Iterator<Item = (&'state str, &'state str)> {
        self.records_from(prefix, Bound::Included(prefix))
    }

    /// The same from one of the names on.
    pub(super) fn records_from<'state>(
        &'state self,
        prefix: &'state str,
        from: Bound<&str>,
    ) -> impl Iterator<Item = (&'state str, &'state str)> {
        let from = self.records.range::<str, _>((from, Bound::Unbounded));
        let named = from.take_while(move |(name, _)| name.starts_with(prefix));
        named.map(|(name, text)| (name.as_str(), &**text))
    }

    /// What is kept under this name.
    #[must_use]
    pub fn record(&self, name: &str) -> Option<&str> {
        self.records.get(name).map(|text| &**text)
    }

    /// The JSON that is kept under this name, read.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.record(name)?).ok()
    }

    /// The JSON under all names that begin so, read, in the order of the names.
    pub fn all_json<'state, T: DeserializeOwned>(
        &'state self,
        prefix: &'state str,
    ) -> impl Iterator<Item = T> + 'state {
        self.records(prefix).filter_map(|(_, text)| serde_json::from_str(text).ok())
    }

    /// How many devices and modules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    fn apply(&mut self, changes: &Changes) {
        apply(&mut self.entities, &changes.entities);
        apply(&mut self.records, &changes.records);
    }
}

fn apply<K: Ord + Clone, V: ?Sized>(kept: &mut BTreeMap<K, Arc<V>>, changes: &BTreeMap<K, Option<Arc<V>>>) {
    for (key, value) in changes {
        match value {
            Some(value) => kept.insert(key.clone(), Arc::clone(value)),
            None => kept.remove(key),
        };
    }
}

impl FromIterator<(IdentityId, Entity)> for State {
    fn from_iter<T: IntoIterator<Item = (IdentityId, Entity)>>(entities: T) -> Self {
        let entities = entities.into_iter().map(|(id, entity)| (id, Arc::new(entity))).collect();
        Self { entities, records: BTreeMap::new() }
    }
}

impl Extend<(String, String)> for State {
    fn extend<T: IntoIterator<Item = (String, String)>>(&mut self, records: T) {
        self.records.extend(records.into_iter().map(|(name, text)| (name, text.into())));
    }
}

/// A change being made: nothing of it happens unless the closure that makes it succeeds.
pub struct Transaction<'state> {
    state: &'state State,
    changes: Changes,
    effects: Vec<Box<dyn FnOnce(Sequence)>>,
}

impl<'state> Transaction<'state> {
    /// The entities as they were before this change.
    #[must_use]
    pub fn before(&self) -> &'state State {
        self.state
    }

    /// A copy of an entity, to be changed and put back.
    #[must_use]
    pub fn copy(&self, id: &IdentityId) -> Option<Entity> {
        let changed = self.changes.entities.get(id).map(Option::as_ref);
        changed.unwrap_or_else(|| self.state.get(id)).map(|entity| Entity::clone(entity))
    }

    /// The modules on a device as they are by now, in the order of their names.
    #[must_use]
    pub fn modules(&self, device: &IdentityId) -> Vec<(IdentityId, Arc<Entity>)> {
        let before = self.state.modules(device).map(|(id, entity)| (id.clone(), Some(Arc::clone(entity))));
        let mut modules: BTreeMap<_, _> = before.collect();
        let changed = self.changes.entities.iter();
        let changed = changed.filter(|(id, _)| id.module.is_some() && id.device == device.device);
        modules.extend(changed.map(|(id, entity)| (id.clone(), entity.clone())));
        modules.into_iter().filter_map(|(id, entity)| Some((id, entity?))).collect()
    }

    /// Add an entity, or put it in the place of the old one.
    pub fn put(&mut self, id: IdentityId, entity: Entity) -> Arc<Entity> {
        let entity = Arc::new(entity);
        self.changes.entities.insert(id, Some(Arc::clone(&entity)));
        entity
    }

    /// Remove an entity.
    pub fn remove(&mut self, id: IdentityId) {
        self.changes.entities.insert(id, None);
    }

    /// Keep a text under this name, in the place of the last.
    pub fn put_record(&mut self, name: String, text: String) {
        self.changes.records.insert(name, Some(text.into()));
    }

    /// Keep this as JSON under the name, in the place of the last text.
    ///
    /// # Errors
    /// None that can be expected.
    pub fn put_json(&mut self, name: String, content: &impl Serialize) -> Result<(), HubError> {
        self.put_record(name, serde_json::to_string(content)?);
        Ok(())
    }

    /// Keep nothing more under this name.
    pub fn remove_record(&mut self, name: String) {
        self.changes.records.insert(name, None);
    }

    /// Do this when the change has happened: under the lock, so that the order is that of the changes.
    /// It must be quick, and must not use the store.
    pub fn then(&mut self, effect: impl FnOnce(Sequence) + 'static) {
        self.effects.push(Box::new(effect));
    }
}

impl Store {
    /// An empty state that is gone with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(State::default(), None)
    }

    /// A state whose changes go to this journal.
    pub(super) fn with_journal(state: State, journal: Journal) -> Self {
        Self::new(state, Some(journal))
    }

    fn new(state: State, journal: Option<Journal>) -> Self {
        let current = Mutex::new(Current { state, newest: Sequence::default() });
        Self(Arc::new(Shared { current, journal, watch: Arc::default(), observer: OnceLock::new() }))
    }

    /// Look at the state; resolves when all that could be seen is on disk.
    ///
    /// # Errors
    /// 500 or 503 if it can't get there: the journal failed or is closed.
    pub async fn read<R>(&self, look: impl FnOnce(&State) -> R) -> Result<R, HubError> {
        let (seen, newest) = {
            let current = self.current();
            (look(&current.state), current.newest)
        };
        self.durable(newest).await?;
        Ok(seen)
    }

    /// Look at the state without waiting for the disk: for what no answer tells.
    pub fn peek<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.current().state)
    }

    /// Make a change; resolves when it is on disk. After a refusal nothing has changed; it too waits
    /// for the disk, since it tells of what was seen.
    ///
    /// # Errors
    /// What `change` refuses with; 500 or 503 if the journal failed or is closed.
    pub async fn write<R>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, HubError>,
    ) -> Result<R, HubError> {
        let (result, newest) = self.apply(change)?;
        self.durable(newest).await?;
        result
    }

    /// Make a change without waiting for the disk: for what no answer tells.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_behind<R>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, HubError>,
    ) -> Result<R, HubError> {
        self.apply(change)?.0
    }

    /// Resolve when this change and all before it are on disk; at once without a journal.
    ///
    /// # Errors
    /// 500 or 503 if they can't get there: the journal failed or is closed.
    pub async fn durable(&self, change: Sequence) -> Result<(), HubError> {
        match &self.0.journal {
            Some(journal) => journal.durable(change).await,
            None => Ok(()),
        }
    }

    /// The devices of which something changed that conditions can see, for who watches.
    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.0.watch
    }

    /// Have this told of all changes from now on; there is one observer, the first.
    pub(super) fn observe(
        &self,
        observer: impl Fn(&IdentityId, Option<&Arc<Entity>>, Option<&Arc<Entity>>) + Send + Sync + 'static,
    ) {
        let _ = self.0.observer.set(Box::new(observer));
    }

    /// Whether anything of it is on disk.
    pub(super) fn is_kept(&self) -> bool {
        self.0.journal.is_some()
    }

    /// Write down what devices sent, without waiting for the disk.
    ///
    /// # Errors
    /// 500 or 503 if the journal failed or is closed.
    pub(super) fn log(&self, log: Log) -> Result<Sequence, HubError> {
        let mut current = self.current();
        if let Some(journal) = &self.0.journal {
            journal.check_open()?;
            current.newest = Sequence(current.newest.0 + 1);
            journal.append(current.newest, Changes { log, ..Changes::default() });
        }
        Ok(current.newest)
    }

    /// Bring everything to disk and let go of the data file; changes are refused from then on.
    /// Blocks for one commit.
    pub fn close(&self) {
        if let Some(journal) = &self.0.journal {
            journal.close();
        }
    }

    fn apply<R>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, HubError>,
    ) -> Result<(Result<R, HubError>, Sequence), HubError> {
        let mut current = self.current();
        if let Some(journal) = &self.0.journal {
            journal.check_open()?;
        }
        let mut transaction =
            Transaction { state: &current.state, changes: Changes::default(), effects: Vec::new() };
        let result = change(&mut transaction);
        let Transaction { changes, effects, .. } = transaction;
        if result.is_err() || changes.is_empty() {
            return Ok((result, current.newest));
        }
        let newest = Sequence(current.newest.0 + 1);
        for effect in effects {
            effect(newest);
        }
        current.newest = newest;
        self.note(&current.state, &changes);
        current.state.apply(&changes);
        if let Some(journal) = &self.0.journal {
            journal.append(newest, changes);
        }
        Ok((result, newest))
    }

    /// Tell the observer of changes, and note for who watches which devices they concern in what conditions can see.
    fn note(&self, before: &State, changes: &Changes) {
        if let Some(observer) = self.0.observer.get() {
            for (id, now) in &changes.entities {
                observer(id, before.get(id), now.as_ref());
            }
        }
        if !self.0.watch.is_on() {
            return;
        }
        for (id, now) in &changes.entities {
            let differs = match (before.get(id), now) {
                (Some(before), Some(now)) => now.differs_for_conditions(before),
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if differs {
                self.0.watch.note(id);
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // A panic leaves the state as it was: changes are applied after everything that could panic.
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
