//! A twin as back ends see it, with what it tells of its identity: whole, or one field of it.
//!
//! The fields are declared once, in the order of the service's documents; REST answers with all of them, and queries ask
//! for one after another.
//! <https://learn.microsoft.com/rest/api/iothub/service/devices/get-twin>

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::entity::{Authentication, ConfigurationMark, Entity, Presence, Thumbprints};
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::timestamp_or_never;
use crate::protocol::twin::Twin;

/// One of the fields at the root of a twin's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the service's")]
pub enum Field {
    DeviceId,
    ModuleId,
    Etag,
    DeviceEtag,
    Status,
    StatusReason,
    StatusUpdateTime,
    ConnectionState,
    LastActivityTime,
    CloudToDeviceMessageCount,
    AuthenticationType,
    X509Thumbprint,
    ModelId,
    Version,
    Tags,
    Properties,
    Configurations,
    Capabilities,
    DeviceScope,
    ParentScopes,
}

impl Field {
    /// All of them, in the order of the document.
    const ALL: [(Self, &str); 20] = [
        (Self::DeviceId, "deviceId"),
        (Self::ModuleId, "moduleId"),
        (Self::Etag, "etag"),
        (Self::DeviceEtag, "deviceEtag"),
        (Self::Status, "status"),
        (Self::StatusReason, "statusReason"),
        (Self::StatusUpdateTime, "statusUpdateTime"),
        (Self::ConnectionState, "connectionState"),
        (Self::LastActivityTime, "lastActivityTime"),
        (Self::CloudToDeviceMessageCount, "cloudToDeviceMessageCount"),
        (Self::AuthenticationType, "authenticationType"),
        (Self::X509Thumbprint, "x509Thumbprint"),
        (Self::ModelId, "modelId"),
        (Self::Version, "version"),
        (Self::Tags, "tags"),
        (Self::Properties, "properties"),
        (Self::Configurations, "configurations"),
        (Self::Capabilities, "capabilities"),
        (Self::DeviceScope, "deviceScope"),
        (Self::ParentScopes, "parentScopes"),
    ];

    /// The field of this name, in whatever case, and its name as the document has it.
    #[must_use]
    pub fn named(text: &str) -> Option<(Self, &'static str)> {
        Self::ALL.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(text))
    }

    /// What stands in the field; nothing if this twin's document doesn't have it.
    #[must_use]
    pub fn value(self, id: &IdentityId, entity: &Entity) -> Option<Value> {
        let (identity, presence, twin) = (&entity.identity, &entity.presence, &entity.twin);
        let is_device = id.module.is_none();
        // Only devices that have something to do with IoT Edge have scopes.
        let scope = identity.device_scope.as_deref().filter(|_| is_device);
        Some(match self {
            Self::DeviceId => id.device.as_str().into(),
            Self::ModuleId => id.module.as_deref()?.into(),
            Self::Etag => entity.twin_etag().into(),
            Self::DeviceEtag => identity.etag().into(),
            Self::Status => identity.status.name().into(),
            Self::StatusReason => identity.status_reason.as_deref()?.into(),
            Self::StatusUpdateTime => timestamp_or_never(identity.status_updated).into(),
            Self::ConnectionState => connection_state(presence).into(),
            Self::LastActivityTime => timestamp_or_never(presence.last_active).into(),
            Self::CloudToDeviceMessageCount => entity.messages.len().into(),
            Self::AuthenticationType => identity.authentication.kind().into(),
            Self::X509Thumbprint => thumbprints(&identity.authentication),
            Self::ModelId => presence.model_id.as_str().into(),
            Self::Version => twin.version.into(),
            Self::Tags if twin.tags.is_empty() => return None,
            Self::Tags => twin.tags.clone().into(),
            Self::Properties => {
                json!(Properties(twin))
            }
            Self::Configurations if entity.configurations.is_empty() => return None,
            Self::Configurations => configurations(&entity.configurations),
            Self::Capabilities if is_device => json!({ "iotEdge": identity.iot_edge }),
            Self::Capabilities => return None,
            Self::DeviceScope => scope?.into(),
            Self::ParentScopes => scope.map(|_| identity.parent_scopes.clone().into())?,
        })
    }
}

/// The whole document, to be written as JSON: what may be large is not copied for it.
#[derive(Clone, Copy, Debug)]
pub struct TwinDocument<'e> {
    /// Whose twin.
    pub id: &'e IdentityId,
    /// What the hub knows of it.
    pub entity: &'e Entity,
}

impl Serialize for TwinDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, entity } = *self;
        let mut document = serializer.serialize_map(None)?;
        for (field, name) in Field::ALL {
            match field {
                Field::Tags if entity.twin.tags.is_empty() => {}
                Field::Tags => document.serialize_entry(name, &entity.twin.tags)?,
                Field::Properties => document.serialize_entry(name, &Properties(&entity.twin))?,
                field => {
                    if let Some(value) = field.value(id, entity) {
                        document.serialize_entry(name, &value)?;
                    }
                }
            }
        }
        document.end()
    }
}

struct Properties<'e>(&'e Twin);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut properties = serializer.serialize_map(Some(2))?;
        properties.serialize_entry("desired", &self.0.desired.service_view())?;
        properties.serialize_entry("reported", &self.0.reported.service_view())?;
        properties.end()
    }
}

/// `{"…": {"status": "Applied"}}`: the configurations that target it, by their ids.
fn configurations(marks: &BTreeMap<String, ConfigurationMark>) -> Value {
    marks.iter().map(|(id, mark)| (id.clone(), configuration(mark))).collect()
}

/// What a twin's document says of one configuration that targets it.
pub(super) fn configuration(mark: &ConfigurationMark) -> Value {
    json!({ "status": if mark.applied { "Applied" } else { "Targeted" } })
}

/// As REST names it.
pub(super) fn connection_state(presence: &Presence) -> &'static str {
    if presence.connected { "Connected" } else { "Disconnected" }
}

/// How an identity proves who it is, with its keys.
pub(super) fn authentication_document(authentication: &Authentication) -> Value {
    let keys = match authentication {
        Authentication::Sas(keys) => (Some(&keys.primary), Some(&keys.secondary)),
        _ => (None, None),
    };
    json!({
        "symmetricKey": { "primaryKey": keys.0, "secondaryKey": keys.1 },
        "x509Thumbprint": thumbprints(authentication),
        "type": authentication.kind(),
    })
}

/// The two thumbprints, null where there is none.
pub(super) fn thumbprints(authentication: &Authentication) -> Value {
    let none = Thumbprints::default();
    let thumbprints = match authentication {
        Authentication::SelfSigned(thumbprints) => thumbprints,
        _ => &none,
    };
    json!({ "primaryThumbprint": thumbprints.primary, "secondaryThumbprint": thumbprints.secondary })
}
