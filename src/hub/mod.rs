//! The local hub: an IoT Hub on this machine, for development and tests.
//!
//! The state and its rules know no sockets:
//! - [`entity`]: what there is to know of a device or module; [`store`]: all of them, on disk if asked for.
//! - [`events`]: what devices sent, for the back ends that read it.
//! - `registry`, `edge`, `bulk`, `twins`, `methods`, `messages`, `uploads`, `sessions`: what can be done with them, as methods of
//!   [`HubState`]; [`query`]: finding them; [`digital_twins`]: twins as IoT Plug and Play sees them; [`jobs`]: doing something
//!   with many of them; [`transfers`]: importing and exporting them; [`configurations`]: what the hub
//!   itself writes into twins.
//! - [`access`] and [`x509`]: who may, by token and by certificate; [`error`]: how the hub says no.
//! - [`dps`]: the provisioning service, which gives devices their place in this hub.
//!
//! The endpoints stand on it: [`https`] and `amqp` for back ends, `mqtt` for devices. [`server`] listens for all, with
//! the certificates of `certificates`; [`connections`] is where they meet. `workload` is what IoT Edge has beside. [`control`] is for the owner,
//! as are the [`faults`].

pub mod access;
mod amqp;
mod base64_body;
pub mod blobs;
pub mod bulk;
mod certificates;
pub mod configurations;
pub mod connections;
pub mod control;
mod counters;
mod data_file;
mod deadlines;
pub mod digital_twins;
pub mod dps;
mod edge;
mod endpoint;
pub mod entity;
pub mod error;
pub mod events;
pub mod faults;
pub mod feedback;
pub mod https;
mod identity_body;
pub mod jobs;
mod journal;
mod json_body;
mod keys;
pub mod limits;
mod listen;
pub mod message_queue;
pub mod messages;
pub mod methods;
mod mqtt;
mod notices;
pub(crate) mod private_file;
pub mod query;
pub mod registry;
pub mod server;
pub mod service_queue;
pub mod sessions;
pub mod store;
mod touched;
pub mod transfers;
pub mod twin_document;
pub mod twins;
pub mod uploads;
mod workload;
pub mod x509;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub use counters::{Counters, Statistics};
pub use error::HubError;
pub use keys::OwnerKey;
pub use notices::Notices;
pub use server::{Hub, HubOptions};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use access::Access;
use configurations::Table;
use connections::Connections;
use data_file::{DataFile, HubRecord, Stored};
use deadlines::Deadlines;
use events::{EventLog, EventOptions, Log, Owners};
use faults::Faults;
use feedback::Feedback;
use jobs::Jobs;
use journal::Journal;
use limits::Limits;
use service_queue::ServiceQueue;
use store::Store;
use uploads::Uploads;

/// How long a client may take for its TLS handshake and for its first request.
const FIRST_BYTES_DEADLINE: Duration = Duration::from_secs(10);

/// What a hub is made of.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Its host name, without a port.
    pub host_name: String,
    /// The same as clients are to know it: with the port, unless it is a usual one.
    pub address: String,
    /// The key of the policy `iothubowner`.
    pub owner_key: OwnerKey,
    /// Where it keeps its state; in memory if nowhere.
    pub data: Option<PathBuf>,
    /// What tells it the time.
    pub clock: Clock,
    /// How much it holds.
    pub limits: Limits,
    /// The built-in endpoint for what devices send.
    pub events: EventOptions,
    /// Who is told what happens.
    pub notices: Notices,
}

impl Default for HubSettings {
    fn default() -> Self {
        let host_name = "localhost".to_owned();
        Self {
            address: host_name.clone(),
            host_name,
            owner_key: OwnerKey::WellKnown,
            data: None,
            clock: Clock::system(),
            limits: Limits::default(),
            events: EventOptions::default(),
            notices: Notices::default(),
        }
    }
}

/// One hub: its state, and what its endpoints share. Clones are handles to the same hub: every request has a few.
#[derive(Clone)]
pub struct HubState(Arc<HubParts>);

impl Deref for HubState {
    type Target = HubParts;

    fn deref(&self) -> &HubParts {
        &self.0
    }
}

/// What a hub is made of.
pub struct HubParts {
    /// The host name that devices are sent to, with the port unless it is a usual one.
    pub address: Arc<str>,
    /// Who may do what, and the hub's names.
    pub access: Access,
    /// What tells the time.
    pub clock: Clock,
    /// How much the hub holds.
    pub limits: Limits,
    /// All devices and modules.
    pub store: Store,
    /// The configurations there are.
    pub configurations: Arc<Table>,
    /// What becomes of messages to devices.
    pub feedback: Feedback,
    /// What devices told of their uploads, for back ends.
    pub file_notifications: ServiceQueue,
    /// When messages to devices expire.
    deadlines: Arc<Deadlines>,
    /// Who is connected now.
    pub connections: Connections,
    /// What has happened so far.
    pub counters: Counters,
    /// What devices sent.
    pub events: EventLog,
    /// When the hub was started, milliseconds since 1970.
    pub created_unix_millis: u64,
    /// The consumer groups that may read it.
    pub consumer_groups: Arc<[String]>,
    /// Who reads it now.
    owners: Owners,
    /// How often somebody has connected or disconnected, as far as it was told.
    connection_events: AtomicU64,
    /// The files of devices.
    pub uploads: Uploads,
    /// The scheduled jobs that are active.
    pub jobs: Jobs,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Who is told what happens.
    pub notices: Notices,
}

impl HubState {
    /// A hub with these settings, and with what its data file holds.
    ///
    /// # Errors
    /// `InvalidArgument` if the key can't be used; `System` if the data file can't be, or is another
    /// hub's.
    pub fn open(settings: &HubSettings) -> Result<Self> {
        // First, so that a key that can't be used leaves no file behind.
        let new = settings.new_record()?;
        let (store, log, record) = match &settings.data {
            Some(path) => settings.open_store(path, new)?,
            None => (Store::in_memory(), Log::default(), new),
        };
        let configurations = Arc::new(store.peek(Table::restored));
        if !configurations.is_empty() {
            store.watch().note_all();
        }
        let feedback = store.peek(Feedback::restored);
        let file_notifications = store.peek(uploads::restored_notifications);
        let deadlines = Arc::new(store.peek(messages::deadlines));
        Ok(Self(Arc::new(HubParts {
            address: settings.address.as_str().into(),
            access: Access::new(&record.host_name, &record.owner_key)?,
            clock: settings.clock.clone(),
            limits: settings.limits,
            store,
            configurations,
            feedback,
            file_notifications,
            deadlines,
            connections: Connections::default(),
            counters: Counters::default(),
            created_unix_millis: settings.clock.unix_millis(),
            consumer_groups: settings.events.groups(),
            owners: Owners::default(),
            connection_events: AtomicU64::default(),
            events: settings.open_events(log)?,
            uploads: Uploads::default(),
            jobs: Jobs::default(),
            faults: Faults::default(),
            notices: settings.notices.clone(),
        })))
    }
}

impl HubSettings {
    fn new_record(&self) -> Result<HubRecord> {
        let key = self.owner_key.choose();
        Access::new(&self.host_name, &key)?;
        Ok(HubRecord::new(self.host_name.clone(), key))
    }

    fn open_store(&self, path: &Path, new: HubRecord) -> Result<(Store, Log, HubRecord)> {
        let (file, record, Stored { state, log }) = DataFile::open(path)?;
        let record = if let Some(record) = record {
            let record = self.own(record, path)?;
            file.claim_format(&record)?;
            record
        } else {
            file.claim(&new)?;
            new
        };
        let journal = Journal::start(file, self.notices.clone())?;
        Ok((Store::with_journal(state, journal), log, record))
    }

    /// The log of events, in the partitions that it has had from the beginning.
    fn open_events(&self, log: Log) -> Result<EventLog> {
        let (kept, asked) = (log.next.len(), self.events.partitions);
        if let (Some(path), Some(asked)) = (&self.data, asked)
            && kept != 0
            && kept != asked
        {
            return Err(data_file::other_partitions(path, kept, asked));
        }
        let partitions = asked.unwrap_or(events::DEFAULT_PARTITIONS);
        if !(1..=events::MOST_PARTITIONS).contains(&partitions) {
            let text = format!("a hub has 1 to {} partitions, not {partitions}", events::MOST_PARTITIONS);
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        Ok(EventLog::restored(log, partitions, self.limits.retention()))
    }

    /// A data file's record, if it is this hub's.
    fn own(&self, stored: HubRecord, path: &Path) -> Result<HubRecord> {
        if !stored.host_name.eq_ignore_ascii_case(&self.host_name) {
            return Err(data_file::other_host(path, &stored.host_name, &self.host_name));
        }
        if !self.owner_key.accepts(&stored.owner_key) {
            return Err(data_file::other_key(path));
        }
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_file_belongs_to_one_hub() {
        let folder = tempfile::tempdir().unwrap();
        let data = Some(folder.path().join("hub.redb"));
        let settings = HubSettings { data, owner_key: OwnerKey::Random, ..HubSettings::default() };
        let first = HubState::open(&settings).unwrap();
        first.store.close();
        let again = HubState::open(&settings).unwrap();
        assert_eq!(again.access.owner_key(), first.access.owner_key());
        again.store.close();
        for (changed, text) in [
            (HubSettings { host_name: "other".into(), ..settings.clone() }, "belongs to the hub 'localhost'"),
            (
                HubSettings { owner_key: OwnerKey::WellKnown, ..settings.clone() },
                "another key of iothubowner",
            ),
        ] {
            let Err(error) = HubState::open(&changed) else { panic!("it was opened") };
            assert_eq!(error.kind(), ErrorKind::System);
            assert!(error.message().contains(text) && !error.message().contains(first.access.owner_key()));
        }
        assert!(HubState::open(&settings).is_ok());
    }

    #[test]
    fn a_key_that_can_not_be_used_leaves_no_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.redb");
        let owner_key = OwnerKey::Given("!".into());
        let settings = HubSettings { data: Some(path.clone()), owner_key, ..HubSettings::default() };
        assert!(HubState::open(&settings).is_err());
        assert!(!path.exists());
    }
}
