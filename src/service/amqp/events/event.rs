//! An event: what a device sent, and what the hub says of it.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct>

use std::borrow::Cow;
use std::sync::Arc;

use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::{AmqpValue, Body, MessageId, Properties};
use fe2o3_amqp::types::primitives::{SimpleValue, Symbol, Value};

use super::super::receiver::IncomingMessage;

/// An event.
pub struct Event {
    message: Box<IncomingMessage>,
    partition: Arc<str>,
}

/// Its place in the partition.
pub(super) fn offset(message: &IncomingMessage) -> Option<&str> {
    match annotation(message, "x-opt-offset")? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn annotation<'a>(message: &'a IncomingMessage, name: &str) -> Option<&'a Value> {
    let annotations = message.message_annotations.as_ref()?;
    let named = |key: &OwnedKey| matches!(key, OwnedKey::Symbol(symbol) if symbol.as_str() == name);
    annotations.0.iter().find(|(key, _)| named(key)).map(|(_, value)| value)
}

impl Event {
    pub(super) fn new(message: IncomingMessage, partition: Arc<str>) -> Self {
        Self { message: Box::new(message), partition }
    }

    /// The partition that it was read from.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// What was sent. Text that came as a value of AMQP is UTF-8.
    #[must_use]
    pub fn body(&self) -> Cow<'_, [u8]> {
        match &self.message.body {
            Body::Data(sections) => match sections.as_slice() {
                [section] => Cow::Borrowed(section.0.as_ref()),
                sections => sections.iter().flat_map(|section| section.0.iter().copied()).collect(),
            },
            Body::Value(AmqpValue(Value::String(text))) => Cow::Borrowed(text.as_bytes()),
            Body::Value(AmqpValue(Value::Binary(bytes))) => Cow::Borrowed(bytes),
            _ => Cow::Borrowed(&[]),
        }
    }

    /// The properties that the device gave it.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &SimpleValue)> {
        let properties = self.message.application_properties.as_ref();
        properties
            .into_iter()
            .flat_map(|properties| properties.0.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// The properties that AMQP has for every message.
    fn message_properties(&self) -> Option<&Properties> {
        self.message.properties.as_ref()
    }

    /// The properties that AMQP has for every message, under the names that they have there.
    #[must_use]
    pub fn named_properties(&self) -> Vec<(&'static str, Value)> {
        let Some(own) = self.message_properties() else { return Vec::new() };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let symbol = |symbol: &Option<Symbol>| symbol.clone().map(Value::Symbol);
        let all = [
            ("message_id", own.message_id.as_ref().map(id)),
            ("user_id", own.user_id.clone().map(Value::Binary)),
            ("to", text(&own.to)),
            ("subject", text(&own.subject)),
            ("reply_to", text(&own.reply_to)),
            ("correlation_id", own.correlation_id.as_ref().map(id)),
            ("content_type", symbol(&own.content_type)),
            ("content_encoding", symbol(&own.content_encoding)),
            ("absolute_expiry_time", own.absolute_expiry_time.clone().map(Value::Timestamp)),
            ("creation_time", own.creation_time.clone().map(Value::Timestamp)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// What the sender calls it.
    #[must_use]
    pub fn message_id(&self) -> Option<Value> {
        self.message_properties()?.message_id.as_ref().map(id)
    }

    /// What the sender says that it is about.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Value> {
        self.message_properties()?.correlation_id.as_ref().map(id)
    }

    /// What its body is, `application/json` for instance.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.message_properties()?.content_type.as_ref().map(Symbol::as_str)
    }

    /// How the text of its body is encoded.
    #[must_use]
    pub fn content_encoding(&self) -> Option<&str> {
        self.message_properties()?.content_encoding.as_ref().map(Symbol::as_str)
    }

    /// What the hub says of it: `iothub-connection-device-id`, `x-opt-offset` …
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &Value)> {
        let annotations = self.message.message_annotations.as_ref();
        annotations.into_iter().flat_map(|annotations| annotations.0.iter()).filter_map(|(key, value)| {
            match key {
                OwnedKey::Symbol(symbol) => Some((symbol.as_str(), value)),
                OwnedKey::Ulong(_) => None,
            }
        })
    }

    /// One of them.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&Value> {
        annotation(&self.message, name)
    }

    /// One of them that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.annotation(name)? {
            Value::String(text) => Some(text),
            Value::Symbol(symbol) => Some(symbol.as_str()),
            _ => None,
        }
    }

    /// One of them that is a number, or a moment in milliseconds since 1970.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.annotation(name)? {
            Value::Long(number) => Some(*number),
            Value::Int(number) => Some(i64::from(*number)),
            Value::Timestamp(time) => Some(time.milliseconds()),
            _ => None,
        }
    }

    /// The device that sent it.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.text("iothub-connection-device-id")
    }

    /// The module that sent it.
    #[must_use]
    pub fn module_id(&self) -> Option<&str> {
        self.text("iothub-connection-module-id")
    }

    /// What it is: `Telemetry`, `twinChangeEvents` …
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.text("iothub-message-source")
    }

    /// When the hub took it, milliseconds since 1970.
    #[must_use]
    pub fn enqueued_unix_millis(&self) -> Option<i64> {
        self.number("x-opt-enqueued-time").or_else(|| self.number("iothub-enqueuedtime"))
    }
}

fn id(id: &MessageId) -> Value {
    match id {
        MessageId::String(text) => Value::String(text.clone()),
        MessageId::Ulong(number) => Value::Ulong(*number),
        MessageId::Uuid(uuid) => Value::Uuid(uuid.clone()),
        MessageId::Binary(bytes) => Value::Binary(bytes.clone()),
    }
}
