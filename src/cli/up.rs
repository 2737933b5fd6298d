//! `ferrohub up`: a local hub until Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::attached;
use super::output::{complain, say, say_without_waiting};
use super::signals::Signals;
use super::state_file::{RunningHub, StateFile, running_hub};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::control::describe_error;
use crate::hub::events::{EventOptions, Source};
use crate::hub::x509::ca_certificates;
use crate::hub::{Hub, HubOptions, Notices, OwnerKey};

/// The key of the policy `iothubowner`, for hubs started by a program: arguments can be seen by everyone.
const KEY_VARIABLE: &str = "FERROHUB_KEY";

#[derive(Debug, clap::Args)]
pub(super) struct Up {
    /// Port for REST, MQTT and AMQP (0: any that is free)
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Also listen on 8883 and 5671, and on 443 where the system permits: Microsoft's packages need them
    #[arg(long)]
    standard_ports: bool,
    /// Keep identities and twins in this file; without it they are gone when the hub ends
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Name by which other machines reach this hub; it then listens on every interface
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
    /// `random`: a key of this hub's own in place of the well-known one; `FERROHUB_KEY` in the environment
    /// gives one in base64
    #[arg(long, value_name = "random", value_parser = ["random"])]
    key: Option<String>,
    /// A CA whose certificates stand for devices, as PEM; again for more of them. With --data they are kept
    #[arg(long = "ca-certificate", value_name = "FILE")]
    ca_certificates: Vec<PathBuf>,
    /// What the hub holds at most: `identities`, `modules` of a device, `active_jobs`, `events` of devices,
    /// `event_megabytes`, `event_hours`; or for how long feedback waits for a full batch: `feedback_seconds`; again for
    /// more of them
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<String>,
    /// How many partitions the built-in endpoint of events has: 4, or those of the data file
    #[arg(long, value_name = "NUMBER")]
    partitions: Option<usize>,
    /// A consumer group that may read events, beside $Default; again for more of them
    #[arg(long = "consumer-group", value_name = "NAME")]
    consumer_groups: Vec<String>,
    /// What is told there beside what devices send: twinChangeEvents, deviceLifecycleEvents or
    /// deviceConnectionStateEvents; again for more of them
    #[arg(long = "events", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Print one JSON line when ready, for programs
    #[arg(long)]
    json: bool,
    /// Take requests on standard input, answer on standard output, end when the input does
    #[arg(long, hide = true, requires = "json")]
    attached: bool,
}

impl Up {
    /// The exit code, unless the error is still to be told.
    pub(super) async fn run(self) -> Result<u8> {
        let notices = if self.json { Notices::default() } else { Notices::to(say_without_waiting()) };
        let options = HubOptions {
            port: self.port,
            standard_ports: self.standard_ports,
            data: self.data.clone(),
            host_name: self.host_name.clone(),
            key: self.owner_key(),
            notices,
            clock: Clock::movable(),
            events: EventOptions {
                partitions: self.partitions,
                consumer_groups: self.consumer_groups.clone(),
                ..EventOptions::default()
            },
            ..HubOptions::default()
        };
        let hub = match self.start(options).await {
            Ok(hub) => Arc::new(hub),
            Err(error) if self.json => {
                say(&json!({ "error": describe_error(&error) }).to_string());
                return Ok(1);
            }
            Err(error) => return Err(error),
        };
        let signals = Signals::listen()?;
        if self.attached {
            say(&hub.describe().to_string());
            tokio::select! {
                () = attached::serve(&hub) => {}
                () = signals.terminated() => {}
            }
        } else {
            let _state_file = leave_state_file(&hub);
            if self.json {
                say(&hub.describe().to_string());
            } else {
                introduce(&hub);
            }
            signals.interrupted().await;
        }
        hub.stop().await;
        Ok(0)
    }

    async fn start(&self, mut options: HubOptions) -> Result<Hub> {
        self.limits.iter().try_for_each(|limit| options.limits.set(limit))?;
        options.events.sources =
            self.sources.iter().map(|name| Source::named(name)).collect::<Result<_>>()?;
        let files = self.ca_certificates.iter().map(|file| read_ca_certificates(file));
        let certificates = files.collect::<Result<Vec<_>>>()?.concat();
        let hub = Hub::start(options).await?;
        hub.state().add_ca_certificates(&certificates).await.map_err(|error| {
            Error::new(ErrorKind::System, "the CA certificates could not be kept").caused_by(error)
        })?;
        Ok(hub)
    }

    fn owner_key(&self) -> OwnerKey {
        match std::env::var(KEY_VARIABLE) {
            Ok(key) => OwnerKey::Given(key),
            Err(_) if self.key.is_some() => OwnerKey::Random,
            Err(_) => OwnerKey::WellKnown,
        }
    }
}

fn read_ca_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::new(ErrorKind::System, format!("{name} can't be read")).caused_by(error))?;
    ca_certificates(&text).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{name} can't be used")).caused_by(error)
    })
}

/// A hub works without its state file, so a failure is told and no more.
fn leave_state_file(hub: &Hub) -> Option<StateFile> {
    let running =
        RunningHub { pid: std::process::id(), port: hub.port(), connection_string: hub.connection_string() };
    match StateFile::write(&running) {
        Ok(Some(file)) => Some(file),
        Ok(None) => {
            let other = running_hub()
                .map_or(String::new(), |other| format!(" (port {}, process {})", other.port, other.pid));
            complain(&format!(
                "ferrohub: another hub runs already{other}; other commands find that one. To have them find this \
                 one, set IOTHUB_CONNECTION_STRING."
            ));
            None
        }
        Err(error) => {
            complain(&format!("ferrohub: {error}"));
            None
        }
    }
}

fn introduce(hub: &Hub) {
    let ca_file = hub.ca_pem_path().display();
    for note in hub.notes() {
        say(note);
    }
    say(&format!(
        "The hub listens on {}:{} for REST and MQTT. Ctrl-C ends it.\n\n\
         Service connection string:\n  {}\n\n\
         Event Hubs connection string, for clients that read what devices send:\n  {}\n\n\
         Programs that use ferrohub trust it already. In shells of other programs:\n  \
         export SSL_CERT_FILE={ca_file}\n  \
         export REQUESTS_CA_BUNDLE={ca_file}\n\n\
         Next, in a second terminal:\n  \
         ferrohub connection-string DEVICE [MODULE]    what a device or module connects with\n  \
         ferrohub dps enroll REGISTRATION_ID           have a device provisioned\n",
        hub.host_name(),
        hub.port(),
        hub.connection_string(),
        hub.event_hubs_connection_string(),
    ));
}
