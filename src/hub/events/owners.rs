//! Who reads a partition in the name of a consumer group: any five, or one alone that has an owner level ("epoch").
//!
//! <https://learn.microsoft.com/azure/event-hubs/event-hubs-event-processor-host#receiver-epoch>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Readers without an owner level.
const MOST_READERS: usize = 5;

/// The readers of one hub. Clones are handles to the same.
#[derive(Clone, Default)]
pub(in crate::hub) struct Owners(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    places: BTreeMap<Place, Vec<Entry>>,
    next: u64,
}

/// A consumer group, in lower case, and a partition.
type Place = (String, usize);

struct Entry {
    number: u64,
    level: Option<i64>,
    end: oneshot::Sender<String>,
}

/// Why nobody more may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::hub) enum Occupied {
    /// By an owner of a higher level.
    Owned(String),
    /// By as many as may read.
    Full(String),
}

/// A place that a reader has until it is dropped.
pub(in crate::hub) struct Ownership {
    owners: Owners,
    place: Place,
    number: u64,
    /// Why it has lost it.
    pub(in crate::hub) lost: oneshot::Receiver<String>,
}

impl Owners {
    /// Take a place: from those who have a lower owner level or none, if this one has one; from its own equals, too, as a
    /// program that comes back has its old level.
    pub(in crate::hub) fn take(
        &self,
        group: &str,
        partition: usize,
        level: Option<i64>,
    ) -> Result<Ownership, Occupied> {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        let place = (group.to_ascii_lowercase(), partition);
        let entries = table.places.entry(place.clone()).or_default();
        let highest = entries.iter().filter_map(|entry| entry.level).max();
        if highest.is_some() && level < highest {
            let highest = highest.unwrap_or_default();
            return Err(Occupied::Owned(format!(
                "Partition {partition} is read by an owner of level {highest} in this consumer group: read with a higher \
                 level, or close that reader."
            )));
        }
        match level {
            Some(level) => {
                for entry in entries.drain(..) {
                    // It may be ending by itself.
                    let _ = entry.end.send(format!(
                        "A reader with owner level {level} has taken partition {partition} in this consumer group."
                    ));
                }
            }
            None if entries.len() >= MOST_READERS => {
                return Err(Occupied::Full(format!(
                    "Partition {partition} has {MOST_READERS} readers in this consumer group, and more are not allowed."
                )));
            }
            None => {}
        }
        let (end, lost) = oneshot::channel();
        entries.push(Entry { number, level, end });
        drop(table);
        Ok(Ownership { owners: self.clone(), place, number, lost })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        let mut table = self.owners.table();
        if let Some(entries) = table.places.get_mut(&self.place) {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                table.places.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_may_read_and_no_more() {
        let owners = Owners::default();
        let readers: Vec<_> = (0..5).map(|_| owners.take("$Default", 0, None).ok().unwrap()).collect();
        assert!(matches!(owners.take("$DEFAULT", 0, None), Err(Occupied::Full(_))));
        assert!(owners.take("$Default", 1, None).is_ok());
        assert!(owners.take("other", 0, None).is_ok());
        drop(readers);
        assert!(owners.take("$Default", 0, None).is_ok());
    }

    #[test]
    fn an_owner_reads_alone_until_a_higher_or_equal_level_comes() {
        let owners = Owners::default();
        let take = |level| owners.take("g", 0, level);
        let mut reader = take(None).ok().unwrap();
        let mut first = take(Some(1)).ok().unwrap();
        assert!(reader.lost.try_recv().is_ok());
        for level in [None, Some(0)] {
            assert!(matches!(take(level), Err(Occupied::Owned(_))));
        }
        let mut again = take(Some(1)).ok().unwrap();
        assert!(first.lost.try_recv().is_ok());
        // An old one that ends late does not give the place away.
        drop(first);
        assert!(matches!(take(None), Err(Occupied::Owned(_))));
        let last = take(Some(7)).ok().unwrap();
        assert!(again.lost.try_recv().unwrap().contains("owner level 7"));
        drop((last, again));
        assert!(take(None).is_ok());
    }
}
