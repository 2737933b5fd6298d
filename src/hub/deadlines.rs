//! When the first message of each queue expires: what saves looking into all queues.
//!
//! The store calls in while it holds its lock, so nothing here waits.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::protocol::identity::IdentityId;

/// A moment for each identity whose queue is to be looked into, in milliseconds since 1970. It may be too early, as
/// messages are taken meanwhile, but never too late.
#[derive(Default)]
pub(super) struct Deadlines {
    table: Mutex<Table>,
    earlier: Notify,
}

#[derive(Default)]
struct Table {
    of: HashMap<IdentityId, u64>,
    in_order: BTreeSet<(u64, IdentityId)>,
}

impl Deadlines {
    /// Look into this queue at this moment, if not before.
    pub(super) fn add(&self, id: &IdentityId, unix_millis: u64) {
        let mut table = self.table();
        match table.of.get(id).copied() {
            Some(known) if known <= unix_millis => return,
            Some(known) => drop(table.in_order.remove(&(known, id.clone()))),
            None => {}
        }
        table.of.insert(id.clone(), unix_millis);
        table.in_order.insert((unix_millis, id.clone()));
        if table.in_order.first().is_some_and(|(_, first)| first == id) {
            self.earlier.notify_one();
        }
    }

    /// The queues whose moment has come.
    pub(super) fn take_due(&self, now: u64) -> Vec<IdentityId> {
        let mut table = self.table();
        let mut due = Vec::new();
        while table.in_order.first().is_some_and(|(moment, _)| *moment <= now) {
            let Some((_, id)) = table.in_order.pop_first() else { break };
            table.of.remove(&id);
            due.push(id);
        }
        due
    }

    /// The first moment there is.
    pub(super) fn first(&self) -> Option<u64> {
        self.table().in_order.first().map(|(moment, _)| *moment)
    }

    /// Resolve when there is an earlier first moment than when this last resolved.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> IdentityId {
        IdentityId::parse(name).unwrap()
    }

    #[test]
    fn each_queue_is_looked_into_at_its_earliest_moment_and_once() {
        let deadlines = Deadlines::default();
        for (name, moment) in [("a", 5), ("a", 7), ("b", 9), ("b", 3), ("c", 20)] {
            deadlines.add(&id(name), moment);
        }
        assert_eq!(deadlines.first(), Some(3));
        assert_eq!(deadlines.take_due(9), [id("b"), id("a")]);
        assert_eq!((deadlines.first(), deadlines.take_due(19)), (Some(20), vec![]));
    }
}
