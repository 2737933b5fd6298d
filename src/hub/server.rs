//! A running local hub: start it, learn how to reach it, stop it.
//!
//! Used by the command (`ferrohub up`), by the Python class `LocalHub` and by tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::OptionFuture;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::access::OWNER_POLICY;
use super::certificates::server_certificate;
use super::connections::Connections;
use super::endpoint::Endpoint;
use super::entity::Authentication;
use super::events::{Changes, Event, EventOptions};
use super::keys::OwnerKey;
use super::limits::Limits;
use super::listen::{Ports, Reach};
use super::notices::Notices;
use super::workload::{Api, Workloads};
use super::{HubError, HubSettings, HubState, Statistics};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::home;
use crate::protocol::identity::IdentityId;
use crate::tls;

/// How long connections may take to end when the hub stops.
const STOP_DEADLINE: Duration = Duration::from_millis(700);
/// A pause after a failed accept: out of file handles, most often, which only time can mend.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a hub is started. The default is one in memory, on any free port of this machine.
#[derive(Clone, Debug, Default)]
pub struct HubOptions {
    /// The port for everything; 0 finds a free one.
    pub port: u16,
    /// Listen on 8883 and 5671 too, and on 443 where the system permits.
    pub standard_ports: bool,
    /// Keep everything in this file; without it, it is gone with the hub.
    pub data: Option<PathBuf>,
    /// The name that clients on other machines use. Then the hub listens on every interface, has a CA that
    /// nothing trusts by default, and a random key unless one is given.
    pub host_name: Option<String>,
    /// The key of the policy `iothubowner`.
    pub key: OwnerKey,
    /// Time, for tokens and timestamps.
    pub clock: Clock,
    /// How much the hub holds.
    pub limits: Limits,
    /// The built-in endpoint for what devices send.
    pub events: EventOptions,
    /// The folder for the CA, in place of [`home::data_dir`], where clients look for it.
    pub home: Option<PathBuf>,
    /// Who is told what happens.
    pub notices: Notices,
}

/// A running hub. Dropping it ends it at once; [`Hub::stop`] ends it well.
pub struct Hub {
    state: HubState,
    port: u16,
    ca_file: PathBuf,
    notes: Vec<String>,
    workloads: Workloads,
    stopping: watch::Sender<bool>,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Hub {
    /// Start a hub; it takes connections when this returns.
    ///
    /// # Errors
    /// `System` for a port or data file that can't be used, `InvalidArgument` for a host name or key that
    /// can't; the text says what to do.
    pub async fn start(options: HubOptions) -> Result<Self> {
        let public_name = public_name(&options)?;
        if public_name.is_some() && options.key.is_given_well_known() {
            let text = "a hub that other machines reach can't have the key that every local hub has: \
                        name another one, or none, to have it made";
            return Err(Error::new(ErrorKind::InvalidKey, text));
        }
        let reach = if public_name.is_some() { Reach::Everywhere } else { Reach::Loopback };
        let ports = Ports::listen(reach, options.port, options.standard_ports).await?;
        let home = options.home.clone().or_else(home::data_dir);
        let certificate = server_certificate(home.as_deref(), public_name)?;
        let host = public_name.unwrap_or("localhost");
        let key = match (public_name, options.key.clone()) {
            (Some(_), OwnerKey::WellKnown) => OwnerKey::Random,
            (_, key) => key,
        };
        let state = HubState::open(&HubSettings {
            host_name: host.to_owned(),
            // Without the port if REST answers on 443 too.
            address: address(host, (!ports.https).then_some(ports.main)),
            owner_key: key,
            data: options.data.clone(),
            clock: options.clock.clone(),
            limits: options.limits,
            events: options.events.clone(),
            notices: options.notices.clone(),
        })?;
        state.resume_jobs().map_err(service_error)?;
        let (stopping, stop) = watch::channel(false);
        let endpoint = Endpoint::new(state.clone(), &certificate, stop.clone())?;
        let serving = accept_all(ports.listeners, endpoint, state.connections.clone(), stop);
        let applying = state.clone().keep_configurations_applied();
        let expiring = state.clone().keep_messages_expiring();
        let batching = state.clone().keep_feedback_batched();
        let changes = Changes::watch(&options.events.sources, &state.store);
        let telling = changes.map(|changes| changes.keep_told(state.clone()));
        let server = tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = applying => {}
                () = expiring => {}
                () = batching => {}
                Some(()) = OptionFuture::from(telling) => {}
            }
        });
        Ok(Self {
            port: ports.main,
            notes: ports.note.into_iter().chain(certificate.note).collect(),
            ca_file: certificate.ca_file,
            state,
            workloads: Workloads::default(),
            stopping,
            server: Mutex::new(Some(server)),
        })
    }

    /// The port for everything.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its host name, without a port.
    #[must_use]
    pub fn host_name(&self) -> &str {
        self.state.access.host_name()
    }

    /// Its host name as clients are to know it: with the port, unless it is a usual one.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.state.address
    }

    /// The connection string of the policy `iothubowner`.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!(
            "HostName={};SharedAccessKeyName={OWNER_POLICY};SharedAccessKey={}",
            self.address(),
            self.state.access.owner_key()
        )
    }

    /// The connection string of the built-in endpoint, as clients of Event Hubs take it, of the policy `iothubowner`.
    #[must_use]
    pub fn event_hubs_connection_string(&self) -> String {
        format!(
            "Endpoint=sb://{}/;SharedAccessKeyName={OWNER_POLICY};SharedAccessKey={};EntityPath={}",
            self.address(),
            self.state.access.owner_key(),
            self.state.events_name()
        )
    }

    /// The connection string of a device or module, with its primary key.
    ///
    /// # Errors
    /// `Service(404)` if there is no such identity, `InvalidArgument` if it has no key.
    pub async fn device_connection_string(&self, id: &IdentityId) -> Result<String> {
        let entity = self.state.store.read(|state| state.get(id).cloned()).await.map_err(service_error)?;
        let entity = entity.ok_or_else(|| {
            let text = format!("the hub has no identity {id}: create it first");
            Error::new(ErrorKind::Service(404), text)
        })?;
        let Authentication::Sas(keys) = &entity.identity.authentication else {
            let text = format!("{id} does not connect with a key, so it has no connection string");
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        };
        let module = id.module.as_ref().map_or_else(String::new, |module| format!(";ModuleId={module}"));
        let (host, device, key) = (self.address(), &id.device, &keys.primary);
        Ok(format!("HostName={host};DeviceId={device}{module};SharedAccessKey={key}"))
    }

    /// The CA's certificate as a PEM file, for clients that do not know it.
    #[must_use]
    pub fn ca_pem_path(&self) -> &Path {
        &self.ca_file
    }

    /// What is not quite as asked for, in lines for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What it knows and does, without the ports.
    #[must_use]
    pub fn state(&self) -> &HubState {
        &self.state
    }

    /// What has happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.state.counters.now()
    }

    /// The newest messages that devices sent, oldest first.
    #[must_use]
    pub fn telemetry(&self) -> Vec<Arc<Event>> {
        self.state.events.newest()
    }

    /// Resolve when the identity is connected and subscribed to this topic filter.
    pub async fn wait_subscribed(&self, id: &IdentityId, filter: &str) {
        self.state.connections.wait_subscribed(id, filter).await;
    }

    /// Open the workload API of IoT Edge for a module, on a Unix socket at this path or on a port: its number, and the
    /// environment of the module's program. It is there until it is closed or the hub dropped.
    ///
    /// # Errors
    /// `Service(404)` if there is no such module with a key, `System` if the socket can't be made.
    pub async fn open_workload(&self, module: IdentityId, path: Option<&Path>) -> Result<Value> {
        let api = Api { hub: self.state.clone(), module, ca_file: self.ca_file.clone() };
        self.workloads.open(api, path, self.address()).await
    }

    /// Close the workload API with this number.
    pub fn close_workload(&self, number: u64) {
        self.workloads.close(number);
    }

    /// Stop taking connections, end those there are, and close the data file; within a second.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            // It fails only if it was aborted, which ends it too.
            let _ = server.await;
        }
        self.state.jobs.stop();
        self.state.store.close();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.state.jobs.stop();
        self.stopping.send_replace(true);
        if let Some(server) = self.server.get_mut().unwrap_or_else(PoisonError::into_inner) {
            server.abort();
        }
    }
}

/// A host name as in connection strings. The brackets of an IPv6 address set it apart from the port.
fn address(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

fn service_error(error: HubError) -> Error {
    Error::new(ErrorKind::Service(error.code().status()), "the hub can't answer").caused_by(error)
}

/// The name that other machines use, if the hub is for them too.
fn public_name(options: &HubOptions) -> Result<Option<&str>> {
    let Some(name) = options.host_name.as_deref().filter(|name| *name != "localhost") else {
        return Ok(None);
    };
    let refuse = |why: &str| {
        let text = format!("the hub can't have the host name {name:?}: {why}");
        Err(Error::new(ErrorKind::InvalidArgument, text))
    };
    if tls::is_loopback(name) {
        return refuse("it means this machine, which reaches the hub as localhost");
    }
    if rustls::pki_types::ServerName::try_from(name).is_err() {
        return refuse("give a DNS name or an IP address, without a port");
    }
    Ok(Some(name))
}

/// Take connections until the hub stops; then end them all.
async fn accept_all(
    listeners: Vec<TcpListener>,
    endpoint: Endpoint,
    connections: Connections,
    mut stop: watch::Receiver<bool>,
) {
    let (accepted, mut incoming) = mpsc::channel(1);
    let mut listening = JoinSet::new();
    for listener in listeners {
        listening.spawn(accept(listener, accepted.clone()));
    }
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            Some(tcp) = incoming.recv() => {
                serving.spawn(endpoint.clone().serve(tcp));
            }
            Some(_) = serving.join_next() => {}
            // The hub is stopped, or dropped.
            _ = stop.wait_for(|stopping| *stopping) => break,
        }
    }
    listening.shutdown().await;
    connections.close_all("the hub is stopping");
    let ended = async { while serving.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_DEADLINE, ended).await.is_err() {
        serving.shutdown().await;
    }
}

async fn accept(listener: TcpListener, accepted: mpsc::Sender<TcpStream>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                if accepted.send(tcp).await.is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
