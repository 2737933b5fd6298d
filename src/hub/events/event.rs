//! One event: a message of a device or module, and what the hub stamps on it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::base64_body;
use crate::protocol::identity::IdentityId;

/// What an event tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A message of a device or module.
    #[default]
    Telemetry,
    /// A twin that changed.
    TwinChange,
    /// An identity that was made or removed.
    Lifecycle,
    /// A device or module that connected or disconnected.
    ConnectionState,
}

impl Source {
    /// Each with its name in events and, for what the hub tells itself, that of the form it has.
    const ALL: [(Self, &str, &str); 4] = [
        (Self::Telemetry, "Telemetry", ""),
        (Self::TwinChange, "twinChangeEvents", "twinChangeNotification"),
        (Self::Lifecycle, "deviceLifecycleEvents", "LifecycleNotification"),
        (Self::ConnectionState, "deviceConnectionStateEvents", "deviceConnectionStateNotification"),
    ];

    /// The source that routes know by this name.
    ///
    /// # Errors
    /// `InvalidArgument` if it is none of those that can be asked for.
    pub fn named(name: &str) -> Result<Self> {
        let optional = &Self::ALL[1..];
        let found = optional.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(source, ..)| *source).ok_or_else(|| {
            let names: Vec<_> = optional.iter().map(|(_, name, _)| *name).collect();
            let text = format!("'{name}' is no source of events: {}", names.join(", "));
            Error::new(ErrorKind::InvalidArgument, text)
        })
    }

    /// The value of `iothub-message-source`.
    pub(in crate::hub) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The value of `iothub-message-schema`; of lifecycles after what it is that lives.
    pub(super) fn schema(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "so serde calls it")]
    pub(in crate::hub) fn is_telemetry(&self) -> bool {
        *self == Self::Telemetry
    }
}

/// One message of a device or module, or what the hub tells of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Who sent it.
    #[serde(flatten, with = "shared")]
    pub sender: Arc<Sender>,
    /// What it tells of.
    #[serde(default, skip_serializing_if = "Source::is_telemetry")]
    pub source: Source,
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
    fn sources_are_found_by_their_names() {
        for (source, name, _) in Source::ALL {
            assert_eq!(source.name(), name);
            assert_eq!(Source::named(name).ok(), Some(source).filter(|source| !source.is_telemetry()));
        }
        assert!(Source::named("twins").unwrap_err().message().contains("deviceLifecycleEvents"));
    }

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
            source: Source::TwinChange,
            enqueued_unix_millis: 5,
            properties: "a=b".to_owned(),
            body: Bytes::from_static(&[0, 255]),
            duplicate: true,
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
