//! `ferrohub feedback` and `ferrohub file-notifications`: what a hub has for back ends, as it comes.

use std::time::Duration;

use fe2o3_amqp::types::messaging::Body;
use serde_json::Value;

use super::hub_to_ask::{HubToAsk, credentials};
use super::output::Lines;
use super::signals::Signals;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::service::amqp::{Endpoint, IncomingMessage, MessageReceiver, Queue};
use crate::tls::Roots;

#[derive(Debug, clap::Args)]
pub(super) struct Notifications {
    /// End after so many; those that came in one message with the last are printed too
    #[arg(long, value_name = "NUMBER")]
    count: Option<usize>,
    /// End when nothing comes for so many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Print a line of JSON for each, as the hub gives it
    #[arg(long)]
    json: bool,
    /// Within a WebSocket: on port 443, unless the connection string names another
    #[arg(long)]
    websocket: bool,
    #[command(flatten)]
    hub: HubToAsk,
}

/// Which of the queues.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Feedback,
    Files,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Feedback => "/messages/servicebound/feedback",
            Self::Files => "/messages/servicebound/filenotifications",
        }
    }

    /// For people: when, whose, and what.
    fn line(self, item: &Value) -> String {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let time = text("enqueuedTimeUtc");
        match self {
            // Some hubs leave out a status that is a success.
            Self::Feedback => {
                let status = item["statusCode"].as_str().unwrap_or("Success");
                format!("{time}\t{}\t{}\t{status}", text("deviceId"), text("originalMessageId"))
            }
            Self::Files => format!("{time}\t{}\t{}", text("blobName"), item["blobSizeInBytes"]),
        }
    }
}

impl Notifications {
    pub(super) async fn run(self, kind: Kind) -> Result<()> {
        let hub = self.hub.connection_string()?;
        let (host, credentials) = (hub.host_name().to_owned(), Some(credentials(&hub)?));
        let endpoint = Endpoint::hub(host, self.websocket, credentials, Roots::System, Clock::system());
        let receiver = MessageReceiver::new(Queue::new(endpoint, kind.path()), 1);
        let signals = Signals::listen()?;
        let printed = tokio::select! {
            printed = self.print_all(kind, &receiver) => printed,
            () = signals.interrupted() => Ok(()),
        };
        receiver.close().await;
        printed
    }

    async fn print_all(&self, kind: Kind, receiver: &MessageReceiver<Queue>) -> Result<()> {
        let limit = self.timeout.map(|seconds| Duration::from_secs(seconds.into()));
        let mut left = self.count.unwrap_or(usize::MAX);
        while left > 0 && receiver.wait(None, limit).await? {
            for received in receiver.take(1) {
                let items = items(&received.message)?;
                let mut lines = Lines::default();
                for item in &items {
                    lines.add(&if self.json { item.to_string() } else { kind.line(item) });
                }
                if !lines.print() {
                    // Nobody reads any more: the hub gives it to the next who asks.
                    return Ok(());
                }
                left = left.saturating_sub(items.len());
                if let Some(ticket) = received.ticket {
                    // If the connection was lost, the hub gives it again.
                    let _ = ticket.accept().await;
                }
            }
        }
        Ok(())
    }
}

/// What a message holds: a batch of records, or one.
fn items(message: &IncomingMessage) -> Result<Vec<Value>> {
    let Body::Data(sections) = &message.body else { return Ok(Vec::new()) };
    let bytes: Vec<u8> = sections.iter().flat_map(|section| section.0.iter().copied()).collect();
    match serde_json::from_slice(&bytes) {
        Ok(Value::Array(items)) => Ok(items),
        Ok(item) => Ok(vec![item]),
        Err(error) => {
            Err(Error::new(ErrorKind::Protocol, "the hub gives something that is no JSON").caused_by(error))
        }
    }
}
