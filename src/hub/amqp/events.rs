//! Links on which back ends read events: one for each partition, as clients of Event Hubs attach them.
//!
//! Nothing is taken away by reading, so every message leaves settled. A link holds no more of them than its client has
//! given credit for.
//! <https://learn.microsoft.com/azure/event-hubs/event-hubs-amqp-protocol-guide>

use fe2o3_amqp::link::Sender;
use fe2o3_amqp::types::definitions::{Error, Fields, LinkError};
use fe2o3_amqp::types::messaging::Source;
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::{Symbol, Value};

use super::claims::Claims;
use super::links::Refusal;
use super::refusal::{occupied, refusal, stolen};
use super::{Peer, event_message};
use crate::hub::HubState;
use crate::hub::access::Right;
use crate::hub::error::HubError;
use crate::hub::events::{Ownership, Reader, Start};
use crate::protocol::error_code::ErrorCode;

/// The built-in endpoint as the IoT hub's own paths name it.
pub(super) const OWN_PATH: &str = "messages/events";
const SELECTOR: &str = "apache.org:selector-filter:string";
/// The owner level of a link.
const EPOCH: &str = "com.microsoft:epoch";
/// That each message is to tell of the end of its partition.
const RUNTIME_METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";

/// What a link reads.
pub(super) struct Reading {
    /// Its address, which tokens have to be for.
    path: String,
    reader: Reader,
    ownership: Ownership,
    tells_end: bool,
}

/// Whether clients of Event Hubs may call the endpoint by this name.
pub(super) fn names_endpoint(name: &str, hub: &HubState) -> bool {
    name.eq_ignore_ascii_case(&hub.events_name()) || name.eq_ignore_ascii_case(OWN_PATH)
}

/// Whether an address is one of the built-in endpoint: `{name}/ConsumerGroups/{group}/Partitions/{partition}`.
pub(super) fn is_partition(path: &str, hub: &HubState) -> bool {
    split(path).is_some_and(|(name, ..)| names_endpoint(name, hub))
}

fn split(path: &str) -> Option<(&str, &str, &str)> {
    let (rest, partition) = path.rsplit_once('/')?;
    let (rest, partitions) = rest.rsplit_once('/')?;
    let (rest, group) = rest.rsplit_once('/')?;
    let (name, groups) = rest.rsplit_once('/')?;
    let fits = partitions.eq_ignore_ascii_case("Partitions") && groups.eq_ignore_ascii_case("ConsumerGroups");
    fits.then_some((name, group, partition))
}

/// Where the endpoint of Event Hubs is, told as the reason for which a link on the hub's own path is closed.
pub(super) fn redirect(path: &str, hub: &HubState) -> Error {
    let (host, port) = hub.address.rsplit_once(':').unwrap_or((&hub.address, "5671"));
    let below = path.get(OWN_PATH.len()..).unwrap_or_default();
    let address = format!("amqps://{}/{}{below}", hub.address, hub.events_name());
    let mut info = Fields::new();
    info.insert(Symbol::from("hostname"), Value::from(host.to_owned()));
    info.insert(Symbol::from("network-host"), Value::from(host.to_owned()));
    info.insert(Symbol::from("port"), Value::from(port.parse::<u32>().unwrap_or_default()));
    info.insert(Symbol::from("address"), Value::from(address));
    Error::new(LinkError::Redirect, "The built-in endpoint of events is another node.".to_owned(), info)
}

/// A reader for a link to this address.
///
/// # Errors
/// 401 without a token for it, 404 if there is no such consumer group or partition, 400 for a filter that can't be used;
/// `amqp:link:stolen` if somebody of a higher owner level reads it, `amqp:resource-limit-exceeded` if five do.
pub(super) fn open(path: &str, attach: &Attach, hub: &HubState, claims: &Claims) -> Result<Reading, Refusal> {
    let (_, group, partition) = split(path).unwrap_or_default();
    check(path, hub, claims)?;
    if !hub.consumer_groups.iter().any(|known| known.eq_ignore_ascii_case(group)) {
        let message = format!(
            "There is no consumer group '{group}': name it when the hub is started, with `consumer_groups` or \
             --consumer-group."
        );
        return Err(HubError::new(ErrorCode::NOT_FOUND, message).into());
    }
    let start = attach.source.as_deref().map_or(Ok(Start::Earliest), start)?;
    let reader = hub.event_reader(partition, start)?;
    let level = attach.properties.as_ref().and_then(|properties| properties.get(&Symbol::from(EPOCH)));
    let ownership = hub.owners.take(group, reader.partition(), level.and_then(integer)).map_err(occupied)?;
    let desired = attach.desired_capabilities.as_ref();
    let tells_end = desired.is_some_and(|desired| desired.iter().any(|name| name.as_str() == RUNTIME_METRIC));
    Ok(Reading { path: path.to_owned(), reader, ownership, tells_end })
}

fn integer(value: &Value) -> Option<i64> {
    match *value {
        Value::Long(number) => Some(number),
        Value::Int(number) => Some(number.into()),
        Value::Uint(number) => Some(number.into()),
        Value::Ulong(number) => i64::try_from(number).ok(),
        _ => None,
    }
}

fn check(path: &str, hub: &HubState, claims: &Claims) -> Result<(), HubError> {
    let resource: Vec<&str> = path.split('/').collect();
    Ok(claims.check(Right::ServiceConnect, &resource, hub)?)
}

/// Where the filter of a source begins.
fn start(source: &Source) -> Result<Start, HubError> {
    let filter = source.filter.as_ref().and_then(|filters| filters.get(&Symbol::from(SELECTOR)));
    let selector = match filter {
        Some(Value::Described(described)) => &described.value,
        Some(value) => value,
        None => return Ok(Start::Earliest),
    };
    let text = match selector {
        Value::String(text) => text.as_str(),
        _ => "",
    };
    parse(text).ok_or_else(|| {
        HubError::invalid(format!(
            "The filter '{text}' has to be amqp.annotation.x-opt-offset, -sequence-number or -enqueued-time, > or >=, \
             and a value in single quotes."
        ))
    })
}

fn parse(selector: &str) -> Option<Start> {
    let (name, condition) = selector.trim().strip_prefix("amqp.annotation.")?.split_once([' ', '>'])?;
    let condition = selector.get(selector.find('>')?..).filter(|_| !condition.is_empty())?;
    let (inclusive, value) = match condition.strip_prefix(">=") {
        Some(value) => (true, value),
        None => (false, condition.strip_prefix('>')?),
    };
    let value = value.trim().trim_matches('\'');
    match (name, value) {
        ("x-opt-offset", "@latest") => Some(Start::Latest),
        ("x-opt-offset" | "x-opt-sequence-number", "-1") => Some(Start::Earliest),
        ("x-opt-offset", value) => value.parse().ok().map(|offset| Start::Offset { offset, inclusive }),
        ("x-opt-sequence-number", value) => {
            value.parse().ok().map(|sequence| Start::Sequence { sequence, inclusive })
        }
        // The second is its former name.
        ("x-opt-enqueued-time" | "x-opt-enqueuedtimeutc", value) => {
            value.parse().ok().map(|unix_millis| Start::Time { unix_millis, inclusive })
        }
        _ => None,
    }
}

/// Send events until the link ends, until somebody takes the partition, or until no token of the connection is good for it
/// any more.
pub(super) async fn serve(mut link: Sender, reading: Reading, peer: Peer) {
    let Reading { path, mut reader, mut ownership, tells_end } = reading;
    let why = tokio::select! {
        why = send(&mut link, &path, &mut reader, tells_end, &peer) => why,
        Ok(text) = &mut ownership.lost => Some(stolen(text)),
    };
    if let Some(error) = why {
        peer.hub.notices.tell(|| {
            let why = error.description.as_deref().unwrap_or_default();
            format!("a reader of {path} was ended: {why}")
        });
        // How it ends is the peer's affair.
        let _ = link.close_with_error(error).await;
    }
}

/// Why it ends here; none if the peer has ended it.
async fn send(
    link: &mut Sender,
    path: &str,
    reader: &mut Reader,
    tells_end: bool,
    peer: &Peer,
) -> Option<Error> {
    let Peer { hub, claims, room } = peer;
    let mut room = room.clone();
    loop {
        let events = tokio::select! {
            events = reader.read() => events,
            _ = link.on_detach() => return None,
        };
        let events = match events.and_then(|events| check(path, hub, claims).map(|()| events)) {
            Ok(events) => events,
            Err(error) => return Some(refusal(&error, hub)),
        };
        let end = tells_end.then(|| event_message::end(reader.partition(), hub));
        for (sequence, event) in events {
            room.available().await;
            let message = event_message::encode(sequence, &event, end.clone());
            link.send_batchable(message).await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_where_to_begin() {
        let at = |selector| parse(selector);
        let earliest = Some(Start::Earliest);
        assert_eq!(at("amqp.annotation.x-opt-offset > '-1'"), earliest);
        assert_eq!(at("amqp.annotation.x-opt-sequence-number > '-1'"), earliest);
        assert_eq!(at("amqp.annotation.x-opt-offset > '@latest'"), Some(Start::Latest));
        assert_eq!(
            at("amqp.annotation.x-opt-offset >= '128'"),
            Some(Start::Offset { offset: 128, inclusive: true })
        );
        assert_eq!(
            at("amqp.annotation.x-opt-sequence-number > '7'"),
            Some(Start::Sequence { sequence: 7, inclusive: false })
        );
        for name in ["x-opt-enqueued-time", "x-opt-enqueuedtimeutc"] {
            let selector = format!("amqp.annotation.{name}>'1700000000000'");
            let start = Start::Time { unix_millis: 1_700_000_000_000, inclusive: false };
            assert_eq!(parse(&selector), Some(start));
        }
        for selector in ["", "amqp.annotation.x-opt-offset", "amqp.annotation.x-opt-offset < '1'", "x > '1'"]
        {
            assert_eq!(parse(selector), None, "{selector}");
        }
    }

    #[test]
    fn addresses_name_the_endpoint_a_group_and_a_partition() {
        assert_eq!(
            split("messages/events/ConsumerGroups/$Default/Partitions/3"),
            Some(("messages/events", "$Default", "3"))
        );
        assert_eq!(split("hub/consumergroups/a/partitions/0"), Some(("hub", "a", "0")));
        assert_eq!(split("hub/ConsumerGroups/a"), None);
        assert_eq!(split("hub/Groups/a/Partitions/0"), None);
    }
}
