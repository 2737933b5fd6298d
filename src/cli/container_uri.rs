//! `ferrohub container-uri`: where a local hub keeps blobs, as imports and exports are told it.

use serde_json::Value;

use super::hub_to_ask::{HubToAsk, ask, failure};
use super::output::say;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Request;

#[derive(Debug, clap::Args)]
pub(super) struct ContainerUri {
    /// For how many hours it opens the container
    #[arg(long, default_value_t = 1)]
    hours: u32,
    #[command(flatten)]
    hub: HubToAsk,
}

impl ContainerUri {
    pub(super) async fn run(self) -> Result<()> {
        let hub = self.hub.connection_string()?;
        let seconds = u64::from(self.hours) * 3600;
        let target = format!("/_ferrohub/container-uri?seconds={seconds}&api-version=2021-04-12");
        let response = ask(&hub, Request::new("GET", target, &[], None)?).await?;
        if response.status == 404 {
            let text = "the hub is not a local one, or an older one: a container of Azure Storage has its address from there";
            return Err(Error::new(ErrorKind::Service(404), text));
        }
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let uri = answer["uri"].as_str().ok_or_else(|| failure(&response, "container"))?;
        say(uri);
        Ok(())
    }
}
