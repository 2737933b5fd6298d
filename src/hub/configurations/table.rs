//! The configurations there are, read whole. The store's records hold the same; changes come in their order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::configuration::{Active, Configuration};
use crate::hub::error::HubError;
use crate::hub::store::{State, Transaction};
use crate::protocol::error_code::ErrorCode;

const RECORDS: &str = "configuration/";
/// The number of the newest configuration that ever was.
const NEWEST: &str = "configurations";

/// All configurations of a hub.
#[derive(Default)]
pub struct Table(Mutex<Content>);

#[derive(Default)]
struct Content {
    by_id: BTreeMap<String, Arc<Active>>,
    /// The same, those with precedence last.
    by_precedence: Arc<[Arc<Active>]>,
}

/// The number of a new configuration, which no other has had.
pub(super) fn take_number(transaction: &mut Transaction<'_>) -> u64 {
    let last = transaction.before().record(NEWEST).and_then(|text| text.parse::<u64>().ok());
    let number = last.unwrap_or_default() + 1;
    transaction.put_record(NEWEST.to_owned(), number.to_string());
    number
}

pub(super) fn record_name(id: &str) -> String {
    format!("{RECORDS}{id}")
}

impl Table {
    /// Those that a state keeps.
    pub(in crate::hub) fn restored(state: &State) -> Self {
        let kept = state.records(RECORDS).filter_map(|(_, text)| {
            let configuration: Configuration = serde_json::from_str(text).ok()?;
            let active = configuration.activate().ok()?;
            Some((active.configuration.id.clone(), Arc::new(active)))
        });
        let table = Self::default();
        {
            let mut content = table.content();
            content.by_id = kept.collect();
            content.sort();
        }
        table
    }

    /// One of them.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Active>> {
        self.content().by_id.get(id).cloned()
    }

    /// All of them, in the order of their ids.
    pub(super) fn all(&self) -> Vec<Arc<Active>> {
        self.content().by_id.values().cloned().collect()
    }

    /// All of them, those with precedence last.
    pub(super) fn by_precedence(&self) -> Arc<[Arc<Active>]> {
        Arc::clone(&self.content().by_precedence)
    }

    /// Whether there is none.
    pub(in crate::hub) fn is_empty(&self) -> bool {
        self.content().by_id.is_empty()
    }

    /// Put one in, in the place of the last of its id, or take it out.
    pub(super) fn set(&self, id: &str, active: Option<Arc<Active>>) {
        let mut content = self.content();
        match active {
            Some(active) => content.by_id.insert(id.to_owned(), active),
            None => content.by_id.remove(id),
        };
        content.sort();
    }

    /// Refuse one more than there may be.
    ///
    /// # Errors
    /// 413 `ConfigurationCountLimitExceeded`.
    pub(super) fn check_room(&self, most: usize) -> Result<(), HubError> {
        if self.content().by_id.len() < most {
            return Ok(());
        }
        let message = format!("The hub holds at most {most} configurations.");
        Err(HubError::new(ErrorCode::TOO_MANY_CONFIGURATIONS, message))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn sort(&mut self) {
        let mut sorted: Vec<_> = self.by_id.values().cloned().collect();
        sorted.sort_by_key(|active| active.precedence());
        self.by_precedence = sorted.into();
    }
}
