//! What clients of Event Hubs ask of the built-in endpoint before they read it: its partitions, and what is in each.
//!
//! <https://learn.microsoft.com/azure/event-hubs/event-hubs-management-libraries>

use fe2o3_amqp::types::primitives::{Array, OrderedMap, Timestamp, Value};

use super::claims::Claims;
use super::events::names_endpoint;
use super::requests::{Answer, Request, text};
use crate::hub::HubState;
use crate::hub::access::Right;
use crate::hub::events::offset;

const READ: &str = "READ";
const EVENT_HUB: &str = "com.microsoft:eventhub";
const PARTITION: &str = "com.microsoft:partition";
/// The first of January of the year 1, which Event Hubs tells of a partition where nothing ever was.
const NEVER_UNIX_MILLIS: i64 = -62_135_596_800_000;

/// Answer a request at `$management`.
pub(super) fn answer(request: &Request, hub: &HubState, claims: &Claims) -> Answer {
    let name = text(request, "name");
    if !names_endpoint(name, hub) {
        let known = hub.events_name();
        return Answer::new(
            404,
            format!("The messaging entity '{name}' could not be found: it is '{known}'."),
        );
    }
    let resource: Vec<&str> = name.split('/').collect();
    if let Err(denied) = claims.check(Right::ServiceConnect, &resource, hub) {
        hub.notices.tell(|| format!("a request to $management was refused: {}", denied.0));
        return Answer::new(401, "Unauthorized");
    }
    match (text(request, "operation"), text(request, "type")) {
        (READ, EVENT_HUB) => endpoint(name, hub),
        (READ, PARTITION) => partition(name, text(request, "partition"), hub),
        (operation, kind) => {
            Answer::new(501, format!("The local hub has no operation '{operation}' of '{kind}'."))
        }
    }
}

fn endpoint(name: &str, hub: &HubState) -> Answer {
    let partitions = hub.events.partitions();
    let ids = (0..partitions).map(|index| Value::from(index.to_string())).collect::<Vec<_>>();
    ok([
        ("name", name.to_owned().into()),
        ("type", EVENT_HUB.to_owned().into()),
        ("created_at", timestamp(hub.created_unix_millis)),
        ("partition_count", i32::try_from(partitions).unwrap_or(i32::MAX).into()),
        ("partition_ids", Value::Array(Array::from(ids))),
    ])
}

fn partition(name: &str, partition: &str, hub: &HubState) -> Answer {
    let partitions = hub.events.partitions();
    let Some(index) = partition.parse().ok().filter(|index| *index < partitions) else {
        let text = format!("There is no partition '{partition}': they are 0 to {}.", partitions - 1);
        return Answer::new(404, text);
    };
    let state = hub.events.partition(index, hub.clock.unix_millis());
    let last = state.sequences.end.checked_sub(1);
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    ok([
        ("name", name.to_owned().into()),
        ("type", PARTITION.to_owned().into()),
        ("partition", partition.to_owned().into()),
        ("begin_sequence_number", signed(state.sequences.start).into()),
        ("last_enqueued_sequence_number", last.map_or(-1, signed).into()),
        (
            "last_enqueued_offset",
            last.map_or_else(|| "-1".to_owned(), |last| offset(last).to_string()).into(),
        ),
        (
            "last_enqueued_time_utc",
            state
                .last_enqueued_unix_millis
                .map_or_else(|| Timestamp::from_milliseconds(NEVER_UNIX_MILLIS).into(), timestamp),
        ),
        ("is_partition_empty", state.sequences.is_empty().into()),
    ])
}

fn ok<const N: usize>(fields: [(&str, Value); N]) -> Answer {
    let fields: OrderedMap<Value, Value> =
        fields.into_iter().map(|(name, value)| (Value::from(name.to_owned()), value)).collect();
    Answer { body: Value::Map(fields), ..Answer::new(200, "OK") }
}

fn timestamp(unix_millis: u64) -> Value {
    Timestamp::from_milliseconds(i64::try_from(unix_millis).unwrap_or(i64::MAX)).into()
}
