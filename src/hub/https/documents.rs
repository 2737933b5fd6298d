//! Identities and twins as back ends see them; the order of the keys is that of the service.

use serde_json::{Value, json};

use crate::hub::entity::{Authentication, Entity, Identity, Presence, Thumbprints};
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::timestamp_or_never;

/// A device or module with its keys.
pub(super) fn identity_document(id: &IdentityId, entity: &Entity) -> Value {
    match &id.module {
        Some(module) => module_document(&id.device, module, entity),
        None => device_document(&id.device, entity),
    }
}

fn device_document(device: &str, entity: &Entity) -> Value {
    let (identity, presence) = (&entity.identity, &entity.presence);
    let mut document = json!({
        "deviceId": device,
        "generationId": identity.generation_id,
        "etag": identity.etag(),
        "connectionState": connection_state(presence),
        "status": identity.status.name(),
        "statusReason": identity.status_reason,
        "connectionStateUpdatedTime": timestamp_or_never(presence.state_changed),
        "statusUpdatedTime": timestamp_or_never(identity.status_updated),
        "lastActivityTime": timestamp_or_never(presence.last_active),
        "cloudToDeviceMessageCount": entity.messages.len(),
        "authentication": authentication(&identity.authentication),
        "capabilities": { "iotEdge": identity.iot_edge },
    });
    add_scopes(&mut document, identity);
    document
}

fn module_document(device: &str, module: &str, entity: &Entity) -> Value {
    let (identity, presence) = (&entity.identity, &entity.presence);
    json!({
        "moduleId": module,
        "managedBy": identity.managed_by,
        "deviceId": device,
        "generationId": identity.generation_id,
        "etag": identity.etag(),
        "connectionState": connection_state(presence),
        "connectionStateUpdatedTime": timestamp_or_never(presence.state_changed),
        "lastActivityTime": timestamp_or_never(presence.last_active),
        "cloudToDeviceMessageCount": entity.messages.len(),
        "authentication": authentication(&identity.authentication),
    })
}

/// A twin with what it tells of its identity.
pub(super) fn twin_document(id: &IdentityId, entity: &Entity) -> Value {
    let (identity, presence, twin) = (&entity.identity, &entity.presence, &entity.twin);
    let mut document = json!({ "deviceId": id.device });
    let mut add = |key: &str, value: Value| document[key] = value;
    if let Some(module) = &id.module {
        add("moduleId", module.as_str().into());
    }
    add("etag", entity.twin_etag().into());
    add("deviceEtag", identity.etag().into());
    add("status", identity.status.name().into());
    if let Some(reason) = &identity.status_reason {
        add("statusReason", reason.as_str().into());
    }
    add("statusUpdateTime", timestamp_or_never(identity.status_updated).into());
    add("connectionState", connection_state(presence).into());
    add("lastActivityTime", timestamp_or_never(presence.last_active).into());
    add("cloudToDeviceMessageCount", entity.messages.len().into());
    add("authenticationType", identity.authentication.kind().into());
    add("x509Thumbprint", thumbprints(&identity.authentication));
    add("modelId", presence.model_id.as_str().into());
    add("version", twin.version.into());
    if !twin.tags.is_empty() {
        add("tags", twin.tags.clone().into());
    }
    let (desired, reported) = (twin.desired.service_view(), twin.reported.service_view());
    add("properties", json!({ "desired": desired, "reported": reported }));
    if id.module.is_none() {
        add("capabilities", json!({ "iotEdge": identity.iot_edge }));
        add_scopes(&mut document, identity);
    }
    document
}

fn connection_state(presence: &Presence) -> &'static str {
    if presence.connected { "Connected" } else { "Disconnected" }
}

fn authentication(authentication: &Authentication) -> Value {
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

fn thumbprints(authentication: &Authentication) -> Value {
    let none = Thumbprints::default();
    let thumbprints = match authentication {
        Authentication::SelfSigned(thumbprints) => thumbprints,
        _ => &none,
    };
    json!({ "primaryThumbprint": thumbprints.primary, "secondaryThumbprint": thumbprints.secondary })
}

/// Only for devices that have something to do with IoT Edge.
fn add_scopes(document: &mut Value, identity: &Identity) {
    if let Some(scope) = &identity.device_scope {
        document["deviceScope"] = scope.as_str().into();
        document["parentScopes"] = identity.parent_scopes.clone().into();
    }
}
