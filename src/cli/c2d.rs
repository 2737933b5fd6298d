//! `ferrohub c2d`: cloud-to-device messages, sent through a path that only the local hub has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;

use super::hub_to_ask::{HubToAsk, ask, error_code, failure, refusal};
use crate::auth::quote_component;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Request;

#[derive(Debug, clap::Subcommand)]
pub(super) enum CloudToDevice {
    /// Send a message; the device gets it now, or when it connects
    Send(Send),
}

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// The device's name
    device: String,
    /// The message
    text: String,
    /// A property of the message, also a system property such as `$.mid` or `$.ct`; again for more of them
    #[arg(long = "property", value_name = "NAME=VALUE", num_args = 1.., value_parser = property)]
    properties: Vec<(String, String)>,
    #[command(flatten)]
    hub: HubToAsk,
}

impl CloudToDevice {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Send(send) => send.run().await,
        }
    }
}

impl Send {
    async fn run(self) -> Result<()> {
        let hub = self.hub.connection_string()?;
        let target =
            format!("/_ferrohub/devices/{}/messages?api-version=2021-04-12", quote_component(&self.device));
        let body = json!({ "properties": self.properties, "body": STANDARD.encode(self.text) });
        let response =
            ask(&hub, Request::new("POST", target, &[], Some(Bytes::from(body.to_string())))?).await?;
        match response.status {
            204 => Ok(()),
            403 | 413 => Err(refusal(&response, "message")),
            404 if error_code(&response) != Some("DeviceNotFound") => {
                let text =
                    "the hub is not a local one, or an older one: others take such messages over AMQP only";
                Err(Error::new(ErrorKind::Service(404), text))
            }
            _ => Err(failure(&response, &self.device)),
        }
    }
}

fn property(text: &str) -> std::result::Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it has no '='")?;
    Ok((name.to_owned(), value.to_owned()))
}
