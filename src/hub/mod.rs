//! The local hub: an IoT Hub on this machine, for development and tests.
//!
//! The state and its rules know no sockets:
//! - [`entity`]: what there is to know of a device or module; [`store`]: all of them, on disk if asked for.
//! - `registry`, `twins`, `sessions`: what can be done with them, as methods of [`HubState`].
//! - [`access`]: who may; [`error`]: how the hub says no.
//!
//! The endpoints stand on it: [`https`] for back ends, `mqtt` for devices. [`server`] listens for both, with
//! the certificates of `certificates`; [`connections`] is where the two meet. [`control`] is for the owner.

pub mod access;
mod certificates;
pub mod connections;
pub mod control;
mod counters;
mod data_file;
mod endpoint;
pub mod entity;
pub mod error;
pub mod https;
mod identity_body;
mod journal;
mod listen;
mod mqtt;
mod notices;
pub(crate) mod private_file;
pub mod registry;
pub mod server;
pub mod sessions;
pub mod store;
pub mod telemetry;
pub mod twins;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use access::OwnerKey;
pub use counters::{Counters, Statistics};
pub use error::HubError;
pub use notices::Notices;
pub use server::{Hub, HubOptions};

use crate::clock::Clock;
use crate::error::Result;
use access::Access;
use connections::Connections;
use data_file::{DataFile, HubRecord, Problem};
use journal::Journal;
use store::Store;
use telemetry::Telemetry;

/// How long a client may take for its TLS handshake and for its first request.
const FIRST_BYTES_DEADLINE: Duration = Duration::from_secs(10);

/// What a hub is made of.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Its host name, without a port.
    pub host_name: String,
    /// The key of the policy `iothubowner`.
    pub owner_key: OwnerKey,
    /// Where it keeps its state; in memory if nowhere.
    pub data: Option<PathBuf>,
    /// What tells it the time.
    pub clock: Clock,
    /// Who is told what happens.
    pub notices: Notices,
}

impl Default for HubSettings {
    fn default() -> Self {
        let host_name = "localhost".to_owned();
        Self {
            host_name,
            owner_key: OwnerKey::WellKnown,
            data: None,
            clock: Clock::system(),
            notices: Notices::default(),
        }
    }
}

/// One hub: its state, and what its endpoints share. Clones are handles to the same hub.
#[derive(Clone)]
pub struct HubState {
    /// Who may do what, and the hub's names.
    pub access: Arc<Access>,
    /// What tells the time.
    pub clock: Clock,
    /// All devices and modules.
    pub store: Store,
    /// Who is connected now.
    pub connections: Connections,
    /// What has happened so far.
    pub counters: Arc<Counters>,
    /// What devices sent.
    pub telemetry: Arc<Telemetry>,
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
        let (store, record) = match &settings.data {
            Some(path) => {
                let (file, record, state) =
                    DataFile::open(path, |stored| settings.record(stored, Problem(path)))?;
                (Store::with_journal(state, Journal::start(file)?), record)
            }
            None => (Store::in_memory(), settings.record(None, Problem("".as_ref()))?),
        };
        Ok(Self {
            access: Arc::new(Access::new(&record.host_name, &record.owner_key)?),
            clock: settings.clock.clone(),
            store,
            connections: Connections::default(),
            counters: Arc::default(),
            telemetry: Arc::default(),
            notices: settings.notices.clone(),
        })
    }
}

impl HubSettings {
    /// The record of a hub with these settings; what a data file holds must agree with them.
    fn record(&self, stored: Option<&HubRecord>, problem: Problem<'_>) -> Result<HubRecord> {
        if let Some(stored) = stored
            && !stored.host_name.eq_ignore_ascii_case(&self.host_name)
        {
            return Err(problem.other_host(&stored.host_name, &self.host_name));
        }
        let key = self.owner_key.settle(stored.map(|stored| stored.owner_key.as_str()));
        let key = key.ok_or_else(|| problem.other_key())?;
        Access::new(&self.host_name, &key)?;
        Ok(HubRecord::new(self.host_name.clone(), key))
    }
}
