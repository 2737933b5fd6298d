//! An event as clients of Event Hubs get it: what the device sent, with the hub's annotations.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct>

use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, DeliveryAnnotations, Message, MessageAnnotations, MessageId, Properties,
};
use fe2o3_amqp::types::primitives::{Binary, OrderedMap, SimpleValue, Symbol, Timestamp, Value};

use crate::hub::HubState;
use crate::hub::events::{Event, offset};
use crate::protocol::properties;
use crate::protocol::timestamp::parse_timestamp;

/// An event with its sequence number; with what `end` tells, if that is asked for.
pub(super) fn encode(sequence: u64, event: &Event, end: Option<DeliveryAnnotations>) -> Message<Data> {
    let mut annotations = annotations(sequence, event);
    let mut system = Properties::default();
    let mut own = OrderedMap::new();
    for (name, value) in properties::decode(&event.properties) {
        if let Some(value) = take_system(&mut system, &mut annotations, &name, value) {
            own.insert(name, value);
        }
    }
    Message {
        delivery_annotations: end,
        ..Message::builder()
            .message_annotations(MessageAnnotations(annotations))
            .properties(system)
            .application_properties(ApplicationProperties(own))
            .body(Data(Binary::from(event.body.to_vec())))
            .build()
    }
}

/// What the last event of a partition is at this moment.
pub(super) fn end(partition: usize, hub: &HubState) -> DeliveryAnnotations {
    let now = hub.clock.unix_millis();
    let state = hub.events.partition(partition, now);
    let last = state.sequences.end.saturating_sub(1);
    let mut annotations = Annotations::new();
    let mut add = |name, value: Value| annotate(&mut annotations, name, value);
    add("last_enqueued_sequence_number", i64::try_from(last).unwrap_or(i64::MAX).into());
    add("last_enqueued_offset", offset(last).to_string().into());
    add("last_enqueued_time_utc", timestamp(state.last_enqueued_unix_millis.unwrap_or(now)).into());
    add("runtime_info_retrieval_time_utc", timestamp(now).into());
    DeliveryAnnotations(annotations)
}

type Annotations = OrderedMap<OwnedKey, Value>;

/// Those of a module with a model and a component.
const MOST_ANNOTATIONS: usize = 13;

fn annotate(annotations: &mut Annotations, name: &'static str, value: impl Into<Value>) {
    annotations.insert(OwnedKey::from(Symbol::from(name)), value.into());
}

fn annotations(sequence: u64, event: &Event) -> Annotations {
    let sender = &event.sender;
    let enqueued = timestamp(event.enqueued_unix_millis);
    let mut annotations = Annotations::with_capacity(MOST_ANNOTATIONS);
    let mut add = |name, value: Value| annotate(&mut annotations, name, value);
    add("iothub-connection-device-id", sender.id.device.clone().into());
    if let Some(module) = &sender.id.module {
        add("iothub-connection-module-id", module.clone().into());
    }
    if event.source.is_telemetry() {
        add("iothub-connection-auth-method", sender.auth_method.clone().into());
        add("iothub-connection-auth-generation-id", sender.generation_id.clone().into());
    }
    add("iothub-enqueuedtime", enqueued.clone().into());
    add("iothub-message-source", event.source.name().to_owned().into());
    if !sender.model_id.is_empty() {
        add("dt-dataschema", sender.model_id.clone().into());
    }
    add("x-opt-sequence-number", i64::try_from(sequence).unwrap_or(i64::MAX).into());
    add("x-opt-offset", offset(sequence).to_string().into());
    add("x-opt-enqueued-time", enqueued.into());
    add("x-opt-partition-key", sender.id.device.clone().into());
    annotations
}

/// Put a property where it belongs if it is a system property; the value back if it is the application's.
fn take_system(
    system: &mut Properties,
    annotations: &mut Annotations,
    name: &str,
    value: Option<String>,
) -> Option<SimpleValue> {
    let Some(value) = value else { return Some(SimpleValue::Null) };
    match name {
        "$.mid" => system.message_id = Some(MessageId::from(value)),
        "$.cid" => system.correlation_id = Some(MessageId::from(value)),
        "$.uid" => system.user_id = Some(Binary::from(value.into_bytes())),
        "$.to" => system.to = Some(value),
        "$.ct" => system.content_type = Some(Symbol::from(value)),
        "$.ce" => system.content_encoding = Some(Symbol::from(value)),
        "$.exp" => match parse_timestamp(&value) {
            Some(unix_millis) => system.absolute_expiry_time = Some(timestamp(unix_millis)),
            None => return Some(value.into()),
        },
        "$.sub" => annotate(annotations, "dt-subject", value),
        "$.ifid" => annotate(annotations, "iothub-interface-id", value),
        _ => return Some(value.into()),
    }
    None
}

fn timestamp(unix_millis: u64) -> Timestamp {
    Timestamp::from_milliseconds(i64::try_from(unix_millis).unwrap_or(i64::MAX))
}
