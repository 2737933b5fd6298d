//! `ferrohub connection-string`: what a device or module connects with, as the Azure portal shows it.

use std::time::Duration;

use serde_json::Value;

use super::output::say;
use super::state_file::running_hub;
use crate::auth::{ConnectionString, SasKey, quote_component};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::service::{Credentials, Request, Response, Transport};
use crate::tls::Roots;

const VARIABLE: &str = "IOTHUB_CONNECTION_STRING";
const API_VERSION: &str = "2021-04-12";
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct ConnectionStringOf {
    /// The device's name
    device: String,
    /// The module's name, if it is one
    module: Option<String>,
    /// The hub's service connection string [default: that of `IOTHUB_CONNECTION_STRING`, else of the hub that
    /// runs on this machine]
    #[arg(long, value_name = "CONNECTION_STRING")]
    hub: Option<String>,
}

impl ConnectionStringOf {
    pub(super) async fn run(self) -> Result<()> {
        let hub = service_connection_string(self.hub.as_deref())?;
        let key = self.primary_key(&hub).await?;
        let module = self.module.map_or_else(String::new, |module| format!(";ModuleId={module}"));
        let (host, device) = (hub.host_name(), &self.device);
        say(&format!("HostName={host};DeviceId={device}{module};SharedAccessKey={key}"));
        Ok(())
    }

    async fn primary_key(&self, hub: &ConnectionString) -> Result<String> {
        let user_agent = format!("ferrohub/{} (command)", env!("CARGO_PKG_VERSION"));
        let credentials = Credentials {
            policy: hub.get("SharedAccessKeyName").unwrap_or_default().to_owned(),
            key: SasKey::from_base64(hub.get("SharedAccessKey").unwrap_or_default())?,
        };
        let host = hub.host_name().to_owned();
        let transport = Transport::new(host, &user_agent, Some(credentials), Roots::System, Clock::system())?;
        let response = transport.request(self.request()?, TIMEOUT).await?;
        let identity = self.identity(&response)?;
        let key = identity["authentication"]["symmetricKey"]["primaryKey"].as_str();
        key.map(str::to_owned).ok_or_else(|| {
            let text = format!("{} does not connect with a key, so it has no connection string", self.name());
            Error::new(ErrorKind::InvalidArgument, text)
        })
    }

    fn request(&self) -> Result<Request> {
        let mut target = format!("/devices/{}", quote_component(&self.device));
        if let Some(module) = &self.module {
            target = format!("{target}/modules/{}", quote_component(module));
        }
        Request::new("GET", format!("{target}?api-version={API_VERSION}"), &[], None)
    }

    fn identity(&self, response: &Response) -> Result<Value> {
        let text = match response.status {
            200 => {
                return serde_json::from_slice(&response.body).map_err(|error| {
                    Error::new(ErrorKind::Protocol, "the hub's answer can't be read").caused_by(error)
                });
            }
            // A hub answers so, too, for modules of a device that it doesn't know or that is disabled.
            401 if self.module.is_some() => format!(
                "the hub refused: it has no enabled device {}, or the connection string's key or policy is not right",
                self.device
            ),
            401 => "the hub refused the connection string: its key or policy is not right".to_owned(),
            404 => format!("the hub has no identity {}: create it first", self.name()),
            status => format!("the hub answered {status} {}", response.reason),
        };
        Err(Error::new(ErrorKind::Service(response.status), text))
    }

    fn name(&self) -> String {
        match &self.module {
            Some(module) => format!("{}/{module}", self.device),
            None => self.device.clone(),
        }
    }
}

/// The hub to ask: the one named, else the environment's, else the one that runs on this machine.
fn service_connection_string(named: Option<&str>) -> Result<ConnectionString> {
    let text = named
        .map(str::to_owned)
        .or_else(|| std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()))
        .or_else(|| running_hub().map(|hub| hub.connection_string))
        .ok_or_else(|| {
            let text = format!("no hub runs on this machine: start one with `ferrohub up`, or name one with --hub or {VARIABLE}");
            Error::new(ErrorKind::InvalidArgument, text)
        })?;
    let refuse = |why: String| {
        Error::new(ErrorKind::InvalidArgument, format!("not a service connection string: {why}"))
    };
    let parsed = ConnectionString::parse(&text).map_err(|error| refuse(error.to_string()))?;
    if parsed.get("SharedAccessKeyName").is_none() {
        return Err(refuse("it names no SharedAccessKeyName, as that of a device".to_owned()));
    }
    Ok(parsed)
}
