//! What devices sent, as the built-in endpoint keeps it: a bounded log in partitions, of which each reader has a place of
//! its own.
//!
//! - `event`: one of them, and who sent it; `changes`: what the hub tells of devices itself
//! - `log`: those that are kept
//! - `reader`: where somebody begins to read a partition, and how far they are; `owners`: who may
//!
//! The endpoints of devices fill it; `amqp` serves it as the endpoint compatible with Event Hubs, [`control`](super::control) as
//! `LocalHub.telemetry()` and `LocalHub.events()`. A hub with a data file keeps it there.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-read-builtin>

mod changes;
mod event;
mod log;
mod owners;
mod reader;

pub(super) use changes::Changes;
pub use event::{Event, Sender, Source};
pub use log::EventLog;
pub(super) use log::{Log, Retention};
pub(super) use owners::{Occupied, Owners, Ownership};
pub(super) use reader::{Reader, Start, offset};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::HubState;
use super::error::HubError;

/// The consumer group that every hub has.
pub const DEFAULT_CONSUMER_GROUP: &str = "$Default";
/// How many partitions a hub has unless it was started with another number.
pub const DEFAULT_PARTITIONS: usize = 4;

/// Azure's hubs have no more.
pub(super) const MOST_PARTITIONS: usize = 32;

/// How the built-in endpoint is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// How many partitions it has. A data file's number counts before the default, and stays as it is.
    pub partitions: Option<usize>,
    /// The consumer groups beside `$Default`.
    pub consumer_groups: Vec<String>,
    /// What it tells beside what devices send.
    pub sources: Vec<Source>,
}

impl EventOptions {
    /// All consumer groups, in the order of their names.
    pub(super) fn groups(&self) -> Arc<[String]> {
        let named = self.consumer_groups.iter().cloned();
        let all: BTreeSet<_> = named.chain([DEFAULT_CONSUMER_GROUP.to_owned()]).collect();
        all.into_iter().collect()
    }
}

impl HubState {
    /// The number of the next connection or disconnection that is told: higher than any before, also of an earlier run.
    fn next_connection_event(&self) -> u64 {
        let number = self.connection_events.fetch_add(1, Ordering::Relaxed);
        (self.created_unix_millis << 20) + number
    }

    /// The name by which clients of Event Hubs know the built-in endpoint.
    #[must_use]
    pub fn events_name(&self) -> String {
        format!("iothub-ehub-{}", self.access.hub_name())
    }

    /// Take what a device sent; resolves when it is on disk.
    pub(super) async fn receive(&self, events: impl ExactSizeIterator<Item = Event>) -> Result<(), HubError> {
        self.counters.telemetry_messages.fetch_add(events.len() as u64, Ordering::Relaxed);
        let change = self.events.append(events, &self.store)?;
        self.store.durable(change).await
    }
}
