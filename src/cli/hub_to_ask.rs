//! Which hub a command asks, and how: with a service connection string, over REST.

use std::time::Duration;

use super::state_file::running_hub;
use crate::auth::{ConnectionString, SasKey};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Request, Response};
use crate::protocol::refusal::Refusal;
use crate::service::amqp::Endpoint;
use crate::service::amqp::events::EventSource;
use crate::service::{Credentials, RetryPolicy, Transport};
use crate::tls::Roots;

const VARIABLE: &str = "IOTHUB_CONNECTION_STRING";
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct HubToAsk {
    /// The hub's service connection string [default: that of `IOTHUB_CONNECTION_STRING`, else of the hub that
    /// runs on this machine]
    #[arg(long, value_name = "CONNECTION_STRING")]
    hub: Option<String>,
}

impl HubToAsk {
    /// Where the events of this hub are; the connection string may be one of Event Hubs here.
    pub(super) fn event_source(&self, websocket: bool) -> Result<EventSource> {
        let (text, roots, clock) = (self.text()?, Roots::System, Clock::system());
        if text.starts_with("Endpoint=") {
            return EventSource::from_connection_string(&text, websocket, roots, clock);
        }
        let hub = self.connection_string()?;
        let host = hub.host_name().to_owned();
        Ok(EventSource::Hub(Endpoint::hub(host, websocket, Some(credentials(&hub)?), roots, clock)))
    }

    /// The hub named, else the environment's, else the one that runs on this machine.
    fn text(&self) -> Result<String> {
        self.hub
            .clone()
            .or_else(|| std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()))
            .or_else(|| running_hub().map(|hub| hub.connection_string))
            .ok_or_else(|| {
                let text = format!("no hub runs on this machine: start one with `ferrohub up`, or name one with --hub or {VARIABLE}");
                Error::new(ErrorKind::InvalidArgument, text)
            })
    }

    /// The same, read.
    pub(super) fn connection_string(&self) -> Result<ConnectionString> {
        let text = self.text()?;
        let refuse = |why: String| {
            Error::new(ErrorKind::InvalidArgument, format!("not a service connection string: {why}"))
        };
        let parsed = ConnectionString::parse(&text).map_err(|error| refuse(error.to_string()))?;
        if parsed.get("SharedAccessKeyName").is_none() {
            return Err(refuse("it names no SharedAccessKeyName, as that of a device".to_owned()));
        }
        Ok(parsed)
    }
}

/// Ask a hub, and wait for its answer.
pub(super) async fn ask(hub: &ConnectionString, request: Request) -> Result<Response> {
    Ok(transport(hub)?.request(request, false, TIMEOUT, RetryPolicy::default()).await?.answer)
}

/// The way to a hub, for any number of requests.
pub(super) fn transport(hub: &ConnectionString) -> Result<Transport> {
    let user_agent = format!("ferrohub/{} (command)", env!("CARGO_PKG_VERSION"));
    let host = hub.host_name().to_owned();
    Transport::new(host, &user_agent, Some(credentials(hub)?), Roots::System, Clock::system())
}

/// Who asks.
pub(super) fn credentials(hub: &ConnectionString) -> Result<Credentials> {
    Ok(Credentials {
        policy: hub.get("SharedAccessKeyName").unwrap_or_default().to_owned(),
        key: SasKey::from_base64(hub.get("SharedAccessKey").unwrap_or_default())?,
    })
}

/// What to tell of an answer that is no success; `name` is the device or module that was asked for.
pub(super) fn failure(response: &Response, name: &str) -> Error {
    let text = match response.status {
        // A hub answers so, too, for modules of a device that it doesn't know or that is disabled.
        401 => match name.split_once('/') {
            Some((device, _)) => format!(
                "the hub refused: it has no enabled device {device}, or the connection string's key or policy is not right"
            ),
            None => "the hub refused the connection string: its key or policy is not right".to_owned(),
        },
        404 => return no_identity(name),
        status => format!("the hub answered {status} {}", response.reason),
    };
    Error::new(ErrorKind::Service(response.status), text)
}

/// The hub knows nobody of this name.
pub(super) fn no_identity(name: &str) -> Error {
    Error::new(ErrorKind::Service(404), format!("the hub has no identity {name}: create it first"))
}

/// The hub's own words about what it refused, without its code.
pub(super) fn refusal(response: &Response, what: &str) -> Error {
    let text =
        Refusal::read(&response.body).map_or_else(|| response.reason.clone(), |refusal| refusal.message);
    Error::new(ErrorKind::Service(response.status), format!("the hub refused the {what}: {text}"))
}

/// The name of the error in an answer: why a path was not found, or what.
pub(super) fn error_code(response: &Response) -> Option<&str> {
    response.headers.get("iothub-errorcode")?.to_str().ok()
}
