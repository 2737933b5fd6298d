//! Identities as back ends see them; the order of the keys is that of the service.

use serde_json::{Value, json};

use crate::hub::entity::{Entity, Identity};
use crate::hub::twin_document::{authentication_document, connection_state};
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
        "authentication": authentication_document(&identity.authentication),
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
        "authentication": authentication_document(&identity.authentication),
    })
}

/// Only for devices that have something to do with IoT Edge.
fn add_scopes(document: &mut Value, identity: &Identity) {
    if let Some(scope) = &identity.device_scope {
        document["deviceScope"] = scope.as_str().into();
        document["parentScopes"] = identity.parent_scopes.clone().into();
    }
}
