//! `ferrohub c2d`: cloud-to-device messages, over AMQP, to any hub.

use std::time::Duration;

use fe2o3_amqp::types::messaging::{ApplicationProperties, Batch, Body, Data, MessageId};
use fe2o3_amqp::types::primitives::{Binary, OrderedMap, SimpleValue, Symbol, Timestamp};

use super::hub_to_ask::{HubToAsk, TIMEOUT, credentials, no_identity};
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::service::amqp::{Endpoint, MessageSender, OutgoingMessage, properties_to};
use crate::tls::Roots;

/// The application property that asks for feedback.
const ACK: &str = "iothub-ack";

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
    /// An application property of the message; again for more of them
    #[arg(long = "property", value_name = "NAME=VALUE", num_args = 1.., value_parser = property)]
    properties: Vec<(String, String)>,
    /// [default: a new UUID]
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// As `application/json`
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// As `utf-8`
    #[arg(long, value_name = "NAME")]
    content_encoding: Option<String>,
    /// When the hub gives feedback about what became of the message
    #[arg(long, value_name = "WHEN", value_parser = ["none", "positive", "negative", "full"])]
    ack: Option<String>,
    /// After so many seconds it is too late to deliver it [default: the hub's, an hour]
    #[arg(long, value_name = "SECONDS")]
    expiry: Option<u32>,
    /// Within a WebSocket: on port 443, unless the connection string names another
    #[arg(long)]
    websocket: bool,
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
        let (host, clock) = (hub.host_name().to_owned(), Clock::system());
        let message = self.message(&clock);
        let endpoint = Endpoint::hub(host, self.websocket, Some(credentials(&hub)?), Roots::System, clock);
        let sender = MessageSender::new(endpoint);
        let sent = sender.send(message, None, TIMEOUT).await;
        sender.close().await;
        sent.map_err(|error| match error.kind() {
            ErrorKind::Service(404) => no_identity(&self.device),
            _ => error,
        })
    }

    fn message(&self, clock: &Clock) -> OutgoingMessage {
        let mut properties = properties_to(&self.device);
        if let Some(id) = &self.message_id {
            properties.message_id = Some(MessageId::String(id.clone()));
        }
        properties.correlation_id = self.correlation_id.clone().map(MessageId::String);
        properties.content_type = self.content_type.clone().map(Symbol::from);
        properties.content_encoding = self.content_encoding.clone().map(Symbol::from);
        properties.absolute_expiry_time = self.expiry.map(|seconds| expiry(clock, seconds));
        let ack = self.ack.iter().map(|ack| (ACK.to_owned(), ack.clone()));
        let application: OrderedMap<_, _> = ack
            .chain(self.properties.iter().cloned())
            .map(|(name, value)| (name, SimpleValue::String(value)))
            .collect();
        OutgoingMessage {
            header: None,
            delivery_annotations: None,
            message_annotations: None,
            properties: Some(properties),
            application_properties: (!application.is_empty()).then_some(ApplicationProperties(application)),
            body: Body::Data(Batch::new(vec![Data(Binary::from(self.text.clone().into_bytes()))])),
            footer: None,
        }
    }
}

fn expiry(clock: &Clock, seconds: u32) -> Timestamp {
    let then = Duration::from_millis(clock.unix_millis()) + Duration::from_secs(seconds.into());
    Timestamp::from_milliseconds(i64::try_from(then.as_millis()).unwrap_or(i64::MAX))
}

fn property(text: &str) -> std::result::Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it has no '='")?;
    Ok((name.to_owned(), value.to_owned()))
}
