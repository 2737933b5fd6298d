//! What the hub knows of a device or module: one entity with its identity, twin, session,
//! messages and presence.
//!
//! An entity is kept, changed and written to disk as a whole.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;
use crate::protocol::twin::Twin;

/// A device or module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    /// What the registry knows.
    pub identity: Identity,
    /// What the twin holds.
    pub twin: Twin,
    /// Topic filters and granted `QoS` of the MQTT session that outlives connections; empty without one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subscriptions: BTreeMap<String, u8>,
    /// What waits to be delivered to it.
    #[serde(default, skip_serializing_if = "MessageQueue::is_unused")]
    pub messages: MessageQueue,
    /// When it connected and was heard of.
    #[serde(default)]
    pub presence: Presence,
    /// The configurations that target it, by their ids, as they were when they were last applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configurations: BTreeMap<String, ConfigurationMark>,
}

/// What one configuration is for a twin that it targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationMark {
    /// Which configuration of this id: one that was deleted and created again is another.
    pub number: u64,
    /// Its revision.
    pub revision: u64,
    /// Whether something of it stands in the twin; others may have precedence everywhere.
    pub applied: bool,
}

/// The registry's part of an entity. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Tells an identity from an earlier one of the same name: .NET ticks of its creation.
    pub generation_id: String,
    /// The `ETag`'s counter: grows with every write through the registry.
    pub revision: u64,
    /// Always enabled for modules.
    pub status: Status,
    /// Why it has this status.
    pub status_reason: Option<String>,
    /// When the status changed.
    pub status_updated: Option<u64>,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// Whether the device is an IoT Edge device.
    pub iot_edge: bool,
    /// `ms-azure-iot-edge://…`: the Edge device it belongs to.
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    pub parent_scopes: Vec<String>,
    /// Of modules: who manages it.
    pub managed_by: Option<String>,
}

/// Whether a device may use its endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It may.
    #[default]
    Enabled,
    /// It may not, and its connections are closed.
    Disabled,
}

/// How an identity proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Authentication {
    /// By tokens signed with either of two keys.
    Sas(SymmetricKeys),
    /// By a certificate with one of these thumbprints.
    SelfSigned(Thumbprints),
    /// By a certificate that a known authority signed.
    CertificateAuthority,
    /// In no way: it can't connect.
    None,
}

/// Two keys in base64. `Debug` never shows them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymmetricKeys {
    /// The first.
    pub primary: String,
    /// The second, so that keys can be changed without a gap.
    pub secondary: String,
}

/// Thumbprints of two certificates, in hex, as given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbprints {
    /// The first.
    pub primary: Option<String>,
    /// The second.
    pub secondary: Option<String>,
}

/// When an identity connected and was heard of. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// Whether it is connected now; not kept on disk, as a hub starts without connections.
    #[serde(skip)]
    pub connected: bool,
    /// When `connected` changed.
    pub state_changed: Option<u64>,
    /// When it last connected or disconnected.
    pub last_active: Option<u64>,
    /// The IoT Plug and Play model it named when it connected.
    #[serde(default)]
    pub model_id: String,
}

impl Identity {
    /// An enabled identity of which nothing more is known; the counter of its `ETag` is still to be set.
    #[must_use]
    pub fn new(generation_id: String, authentication: Authentication) -> Self {
        Self {
            generation_id,
            revision: 0,
            status: Status::Enabled,
            status_reason: None,
            status_updated: None,
            authentication,
            iot_edge: false,
            device_scope: None,
            parent_scopes: Vec::new(),
            managed_by: None,
        }
    }

    /// The `ETag` without quotes: base64 of the counter in decimal.
    #[must_use]
    pub fn etag(&self) -> String {
        STANDARD.encode(self.revision.to_string())
    }
}

impl Entity {
    /// An identity with an empty twin, that nobody has heard of.
    #[must_use]
    pub fn new(identity: Identity, unix_millis: u64) -> Self {
        Self {
            identity,
            twin: Twin::new(unix_millis),
            subscriptions: BTreeMap::new(),
            messages: MessageQueue::default(),
            presence: Presence::default(),
            configurations: BTreeMap::new(),
        }
    }

    /// The twin's `ETag` without quotes: base64 of the counter's eight bytes.
    #[must_use]
    pub fn twin_etag(&self) -> String {
        STANDARD.encode(self.twin.revision.to_be_bytes())
    }

    /// Whether something changed that the target conditions of configurations can look at.
    pub(super) fn differs_for_conditions(&self, before: &Self) -> bool {
        self.identity.iot_edge != before.identity.iot_edge
            || self.identity.generation_id != before.identity.generation_id
            || self.twin.reported.version() != before.twin.reported.version()
            || self.twin.tags != before.twin.tags
    }
}

impl Authentication {
    /// The name of the kind, as in REST.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sas(_) => "sas",
            Self::SelfSigned(_) => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }
}

impl Status {
    /// The name, as in REST.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Debug for SymmetricKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SymmetricKeys(…)")
    }
}
