//! Where the events of a hub are: an endpoint of Event Hubs, to which the hub redirects, and its partitions.

use std::time::Duration;

use fe2o3_amqp::link::{LinkStateError, Receiver, ReceiverAttachError, RecvError};
use fe2o3_amqp::types::definitions::{Error as AmqpReason, ErrorCondition, LinkError};
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Body};
use fe2o3_amqp::types::primitives::{OrderedMap, Symbol, Value};
use tokio::time::timeout;

use super::super::attached::{Attached, Origin};
use super::super::connection::HubConnection;
use super::super::endpoint::{BearerToken, Endpoint};
use super::super::refusal;
use super::super::requests::Node;
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::service::Credentials;
use crate::tls::{Roots, split_port};

/// What a hub is asked for when it is asked where its events are.
const REDIRECTED: &str = "messages/events/$management";
/// For the redirection.
const LIMIT: Duration = Duration::from_secs(15);
const FORM: &str =
    "Endpoint=sb://<host>/;SharedAccessKeyName=<policy>;SharedAccessKey=<key>;EntityPath=<name>";

/// A hub's events, as they are named.
#[derive(Clone)]
pub enum EventSource {
    /// The hub, which knows where its events are.
    Hub(Endpoint),
    /// The endpoint of Event Hubs itself.
    EventHub(Endpoint),
}

impl EventSource {
    /// The endpoint that a connection string of Event Hubs names.
    ///
    /// # Errors
    /// `InvalidArgument` if it is none, `InvalidKey` if its key is not base64. Neither shows a part of it.
    pub fn from_connection_string(text: &str, websocket: bool, roots: Roots, clock: Clock) -> Result<Self> {
        let part = |name: &str| {
            let mut parts = text.split(';').filter_map(|part| part.split_once('='));
            let found = parts.find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty());
            found.map(|(_, value)| value).ok_or_else(|| {
                let text = format!("the Event Hubs connection string has no {name}; the form is {FORM}");
                Error::new(ErrorKind::InvalidArgument, text)
            })
        };
        let endpoint = part("Endpoint")?;
        let host_name = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).trim_end_matches('/');
        let policy = part("SharedAccessKeyName")?.to_owned();
        let key = SasKey::from_base64(part("SharedAccessKey")?)?;
        let credentials = Some(Credentials { policy, key });
        let hub = Endpoint::hub(host_name.to_owned(), websocket, credentials, roots, clock);
        Ok(Self::EventHub(Endpoint { entity: Some(part("EntityPath")?.to_owned()), ..hub }))
    }

    /// The endpoint of Event Hubs.
    pub(super) async fn locate(&self, bearer: Option<&BearerToken>) -> Result<Endpoint> {
        let hub = match self {
            Self::EventHub(endpoint) => return Ok(endpoint.clone()),
            Self::Hub(hub) => hub,
        };
        let mut connection = HubConnection::open(hub, bearer, None).await?;
        let reason = timeout(LIMIT, redirection(&mut connection)).await;
        let reason = reason.unwrap_or_else(|_| Err(unknown_place("it doesn't answer")))?;
        redirect(hub, &reason)
    }
}

/// The reason for which the hub ends the link.
async fn redirection(connection: &mut HubConnection) -> Result<AmqpReason> {
    let address = format!("amqps://{}/{REDIRECTED}", connection.host);
    let attaching = Receiver::builder()
        .name(format!("redirected-{}", connection.container))
        .source(address.as_str())
        .attach(&mut connection.session);
    match attaching.await {
        Err(ReceiverAttachError::RemoteClosedWithError(reason)) => Ok(reason),
        Err(error) => Err(refusal::receiver_attach(&error)),
        Ok(mut link) => match link.recv::<Body<Value>>().await {
            Err(RecvError::LinkStateError(
                LinkStateError::RemoteClosedWithError(reason)
                | LinkStateError::RemoteDetachedWithError(reason),
            )) => Ok(reason),
            Err(error) => Err(refusal::received(error)),
            Ok(_) => Err(unknown_place("it sent something else")),
        },
    }
}

fn redirect(hub: &Endpoint, reason: &AmqpReason) -> Result<Endpoint> {
    if reason.condition != ErrorCondition::from(LinkError::Redirect) {
        return Err(refusal::not_received(reason));
    }
    let info = |name: &str| reason.info.as_ref().and_then(|info| info.get(&Symbol::from(name)));
    let (Some(Value::String(host)), Some(Value::String(address))) = (info("hostname"), info("address"))
    else {
        return Err(unknown_place("its redirection names none"));
    };
    let path = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
    let entity = path.split('/').nth(1).filter(|entity| !entity.is_empty());
    let entity = Some(entity.ok_or_else(|| unknown_place("its redirection names none"))?.to_owned());
    if host == split_port(&hub.host_name).0 {
        return Ok(Endpoint { entity, ..hub.clone() });
    }
    if hub.credentials.is_none() {
        // A token for the hub is shown to nobody else, and could not be used there.
        let text = "the hub's events are read with a shared access policy, not with a token credential: use the \
                    connection string of a policy with the right ServiceConnect";
        return Err(Error::new(ErrorKind::Unauthorized, text));
    }
    let host_name = match info("port") {
        Some(Value::Uint(port)) if !hub.websocket => format!("{host}:{port}"),
        Some(Value::Int(port)) if !hub.websocket => format!("{host}:{port}"),
        _ => host.clone(),
    };
    Ok(Endpoint { host_name, entity, ..hub.clone() })
}

fn unknown_place(why: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the hub does not say where its events are: {why}"))
}

/// A connection to the endpoint of Event Hubs.
pub(super) struct EventHub {
    pub(super) attached: Attached,
    entity: String,
    questions: Node,
}

impl EventHub {
    pub(super) async fn open(endpoint: &Endpoint, bearer: Option<&BearerToken>) -> Result<Self> {
        let mut attached = Attached::open(endpoint, bearer).await?;
        let connection = attached.connection();
        let reply_to = Some(connection.container.clone());
        let questions = Node::attach(&mut connection.session, "$management", reply_to).await?;
        Ok(Self { attached, entity: endpoint.entity.clone().unwrap_or_default(), questions })
    }

    /// The names of all partitions.
    pub(super) async fn partitions(&mut self) -> Result<Vec<String>> {
        let answer = self.ask("com.microsoft:eventhub", None).await?;
        let names: Vec<String> = match answer.get(&Value::from("partition_ids".to_owned())) {
            Some(Value::Array(names)) => names.iter().filter_map(text).collect(),
            Some(Value::List(names)) => names.iter().filter_map(text).collect(),
            _ => Vec::new(),
        };
        if names.is_empty() {
            return Err(Error::new(ErrorKind::Protocol, "the hub names no partitions of its events"));
        }
        Ok(names)
    }

    /// The offset of a partition's last event; `-1` if there never was one.
    pub(super) async fn last_offset(&mut self, partition: &str) -> Result<String> {
        let answer = self.ask("com.microsoft:partition", Some(partition)).await?;
        let last = answer.get(&Value::from("last_enqueued_offset".to_owned())).and_then(text);
        last.ok_or_else(|| {
            Error::new(ErrorKind::Protocol, format!("the hub does not say where partition {partition} ends"))
        })
    }

    async fn ask(&mut self, kind: &str, partition: Option<&str>) -> Result<OrderedMap<Value, Value>> {
        let mut properties = ApplicationProperties::builder()
            .insert("operation", "READ")
            .insert("name", self.entity.as_str())
            .insert("type", kind);
        if let Some(partition) = partition {
            properties = properties.insert("partition", partition);
        }
        let answer = self.questions.ask(properties.build(), Value::Null).await?;
        match (answer.status, answer.body) {
            (200..300, Body::Value(AmqpValue(Value::Map(fields)))) => Ok(fields),
            (401 | 403, _) => Err(Error::new(
                ErrorKind::Unauthorized,
                format!("the hub does not let this policy read events: {}", answer.description),
            )),
            (status, _) => {
                let status = u16::try_from(status).unwrap_or_default();
                let text = format!("the hub tells nothing of its events: {}", answer.description);
                Err(Error::new(ErrorKind::Service(status), text))
            }
        }
    }

    /// Attach a link to a partition, behind what this selector says.
    pub(super) async fn read(&mut self, group: &str, partition: &str, selector: &str) -> Result<()> {
        let (host, entity) = (&self.attached.connection().host, &self.entity);
        let address = format!("amqps://{host}/{entity}/ConsumerGroups/{group}/Partitions/{partition}");
        let adding = self.attached.add(Origin::selected(address, selector));
        adding.await.map_err(|error| refusal::receiver_attach(&error))
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Symbol(symbol) => Some(symbol.0.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::Fields;

    use super::*;

    fn parsed(text: &str) -> Result<Endpoint> {
        match EventSource::from_connection_string(text, false, Roots::System, Clock::system())? {
            EventSource::EventHub(endpoint) | EventSource::Hub(endpoint) => Ok(endpoint),
        }
    }

    #[test]
    fn connection_strings_of_event_hubs_are_read_and_never_shown() {
        let endpoint = parsed(
            "Endpoint=sb://localhost:8443/;SharedAccessKeyName=service;SharedAccessKey=Zm9vYmFy;EntityPath=e",
        );
        let endpoint = endpoint.unwrap();
        assert_eq!((endpoint.host_name.as_str(), endpoint.entity.as_deref()), ("localhost:8443", Some("e")));
        let without_key = "Endpoint=sb://secret/;SharedAccessKeyName=secret;SharedAccessKey=;EntityPath=e";
        let error = parsed(without_key).err().unwrap().to_string();
        assert!(error.contains("no SharedAccessKey;") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_hub_says_where_its_events_are() {
        let key = SasKey::from_base64("Zm9vYmFy").unwrap();
        let credentials = Credentials { policy: "service".into(), key };
        let hub = |websocket, credentials| {
            let name = "hub.azure-devices.net".to_owned();
            Endpoint::hub(name, websocket, credentials, Roots::System, Clock::system())
        };
        let mut info = Fields::new();
        let host = "ns.servicebus.windows.net";
        info.insert(Symbol::from("hostname"), Value::from(host.to_owned()));
        info.insert(Symbol::from("port"), Value::Uint(5671));
        let address = format!("amqps://{host}:5671/iothub-ehub-hub-1-2/$management");
        info.insert(Symbol::from("address"), Value::from(address));
        let reason = AmqpReason::new(LinkError::Redirect, None, info);
        let there = redirect(&hub(false, Some(credentials.clone())), &reason).unwrap();
        assert_eq!(there.host_name, format!("{host}:5671"));
        assert_eq!(there.entity.as_deref(), Some("iothub-ehub-hub-1-2"));
        let there = redirect(&hub(true, Some(credentials)), &reason).unwrap();
        assert_eq!(there.host_name, host);
        let refused = redirect(&hub(false, None), &reason).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    }
}
