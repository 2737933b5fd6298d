//! A message to a device as it goes over the wire.

use fe2o3_amqp::types::messaging::{Body, Message, MessageId, Properties};
use fe2o3_amqp::types::primitives::Value;
use uuid::Uuid;

/// A message as it goes over the wire.
pub type OutgoingMessage = Message<Body<Value>>;

/// What every message to this device says: where it goes, and an id of its own.
#[must_use]
pub fn properties_to(device: &str) -> Properties {
    Properties {
        message_id: Some(MessageId::String(Uuid::new_v4().to_string())),
        to: Some(format!("/devices/{device}/messages/devicebound")),
        ..Properties::default()
    }
}
