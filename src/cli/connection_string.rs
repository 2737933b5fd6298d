//! `ferrohub connection-string`: what a device or module connects with, as the Azure portal shows it.

use serde_json::Value;

use super::hub_to_ask::{HubToAsk, ask, failure};
use super::output::say;
use crate::auth::{ConnectionString, quote_component};
use crate::error::{Error, ErrorKind, Result};
use crate::http::Request;

const API_VERSION: &str = "2021-04-12";

#[derive(Debug, clap::Args)]
pub(super) struct ConnectionStringOf {
    /// The device's name
    device: String,
    /// The module's name, if it is one
    module: Option<String>,
    #[command(flatten)]
    hub: HubToAsk,
}

impl ConnectionStringOf {
    pub(super) async fn run(self) -> Result<()> {
        let hub = self.hub.connection_string()?;
        let key = self.primary_key(&hub).await?;
        let module = self.module.map_or_else(String::new, |module| format!(";ModuleId={module}"));
        let (host, device) = (hub.host_name(), &self.device);
        say(&format!("HostName={host};DeviceId={device}{module};SharedAccessKey={key}"));
        Ok(())
    }

    async fn primary_key(&self, hub: &ConnectionString) -> Result<String> {
        let response = ask(hub, self.request()?).await?;
        if response.status != 200 {
            return Err(failure(&response, &self.name()));
        }
        let identity: Value = serde_json::from_slice(&response.body).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the hub's answer can't be read").caused_by(error)
        })?;
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

    fn name(&self) -> String {
        match &self.module {
            Some(module) => format!("{}/{module}", self.device),
            None => self.device.clone(),
        }
    }
}
