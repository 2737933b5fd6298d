//! A twin as back ends see it, with what it tells of its identity: whole, or one field of it.
//!
//! The fields are declared once, in the order of the service's documents; REST answers with all of them, and queries ask
//! for one after another.
//! <https://learn.microsoft.com/rest/api/iothub/service/devices/get-twin>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::entity::{Authentication, ConfigurationMark, Entity, Presence};
use crate::protocol::identity::IdentityId;
use crate::protocol::json_view::View;
use crate::protocol::timestamp::timestamp_or_never;

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
    pub fn view<'e>(self, id: &'e IdentityId, entity: &'e Entity) -> Option<View<'e>> {
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
            Self::CloudToDeviceMessageCount => (entity.messages.len() as u64).into(),
            Self::AuthenticationType => identity.authentication.kind().into(),
            Self::X509Thumbprint => thumbprints(&identity.authentication),
            Self::ModelId => presence.model_id.as_str().into(),
            Self::Version => twin.version.into(),
            Self::Tags if twin.tags.is_empty() => return None,
            Self::Tags => (&twin.tags).into(),
            Self::Properties => {
                let sections = [("desired", &twin.desired), ("reported", &twin.reported)];
                sections.map(|(name, section)| (name, section.service_view())).into()
            }
            Self::Configurations if entity.configurations.is_empty() => return None,
            Self::Configurations => configurations(&entity.configurations),
            Self::Capabilities if is_device => [("iotEdge", identity.iot_edge.into())].into(),
            Self::Capabilities => return None,
            Self::DeviceScope => scope?.into(),
            Self::ParentScopes => scope.map(|_| View::Texts(&identity.parent_scopes))?,
        })
    }
}

/// The whole document.
#[must_use]
pub fn twin_document<'e>(id: &'e IdentityId, entity: &'e Entity) -> View<'e> {
    let fields = Field::ALL.into_iter();
    View::Entries(fields.filter_map(|(field, name)| Some((name, field.view(id, entity)?))).collect())
}

/// `{"…": {"status": "Applied"}}`: the configurations that target it, by their ids.
fn configurations(marks: &BTreeMap<String, ConfigurationMark>) -> View<'_> {
    View::Entries(marks.iter().map(|(id, mark)| (id.as_str(), configuration(*mark))).collect())
}

/// What a twin's document says of one configuration that targets it.
pub(super) fn configuration(mark: ConfigurationMark) -> View<'static> {
    [("status", if mark.applied { "Applied" } else { "Targeted" }.into())].into()
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
pub(super) fn thumbprints(authentication: &Authentication) -> View<'_> {
    let [primary, secondary] = match authentication {
        Authentication::SelfSigned(thumbprints) => [&thumbprints.primary, &thumbprints.secondary],
        _ => [&None, &None],
    };
    [("primaryThumbprint", primary.as_deref().into()), ("secondaryThumbprint", secondary.as_deref().into())]
        .into()
}
