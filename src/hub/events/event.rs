//! One event: a message of a device or module, and what the hub stamps on it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hub::base64_body;
use crate::protocol::identity::IdentityId;

/// One message of a device or module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Who sent it.
    #[serde(flatten, with = "shared")]
    pub sender: Arc<Sender>,
    /// When it arrived, milliseconds since 1970.
    pub enqueued_unix_millis: u64,
    /// Its properties as they stood in the topic, percent-encoded: `key=value&key=value`.
    pub properties: String,
    /// Its body.
    #[serde(with = "base64_body")]
    pub body: Bytes,
    /// Whether its sender said that it may have sent it before (DUP).
    pub duplicate: bool,
}

/// A device or module, as it was when it sent something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// Who it is.
    #[serde(rename = "sender", with = "identity")]
    pub id: IdentityId,
    /// The generation of its identity: a device that is made anew under its name has another.
    #[serde(default)]
    pub generation_id: String,
    /// How it showed who it is, as JSON.
    #[serde(default)]
    pub auth_method: String,
    /// The IoT Plug and Play model that it named; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model_id: String,
}

impl Event {
    /// What it takes of the room that a log has.
    pub(super) fn size(&self) -> usize {
        /// About what it takes in memory beside its texts.
        const OVERHEAD: usize = 160;
        OVERHEAD + self.properties.len() + self.body.len()
    }
}

mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Sender;

    pub(super) fn serialize<S: Serializer>(sender: &Sender, serializer: S) -> Result<S::Ok, S::Error> {
        sender.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Sender>, D::Error> {
        Sender::deserialize(deserializer).map(Arc::new)
    }
}

/// `device` or `device/module`.
mod identity {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::protocol::identity::IdentityId;

    pub(super) fn serialize<S: Serializer>(id: &IdentityId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IdentityId, D::Error> {
        IdentityId::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_and_read_as_it_was() {
        let sender = Sender {
            id: IdentityId { device: "d".to_owned(), module: Some("m".to_owned()) },
            generation_id: "7".to_owned(),
            auth_method: "{}".to_owned(),
            model_id: "dtmi:com:x;1".to_owned(),
        };
        let event = Event {
            sender: Arc::new(sender),
            enqueued_unix_millis: 5,
            properties: "a=b".to_owned(),
            body: Bytes::from_static(&[0, 255]),
            duplicate: true,
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
