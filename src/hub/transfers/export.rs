//! Export: every device and module with its twin, one line of JSON for each.
//!
//! A line is what `ExportImportDevice` is in the REST API, so an import takes it.

use serde_json::{Map, Value, json};

use super::add_line;
use super::transfer::Transfer;
use crate::hub::HubState;
use crate::hub::entity::{Authentication, Entity};
use crate::hub::error::HubError;
use crate::hub::twin_document::{authentication_document, thumbprints};
use crate::protocol::identity::IdentityId;

/// Identities that are looked at before others get their turn.
const BATCH: usize = 256;

impl HubState {
    /// Write the blobs of an export.
    pub(super) async fn export(&self, transfer: &Transfer) -> Result<(), HubError> {
        let (mut after, mut lines, mut count) = (None, Vec::new(), 0);
        loop {
            let (batch, total) = self.store.peek(|state| {
                let next = state.after(after.as_ref()).take(BATCH);
                let batch: Vec<_> = next.map(|(id, entity)| (id.clone(), entity.clone())).collect();
                (batch, state.len())
            });
            for (id, entity) in &batch {
                add_line(&mut lines, &line(id, entity, transfer.exclude_keys))?;
            }
            count += batch.len();
            let Some((last, _)) = batch.into_iter().next_back() else { break };
            after = Some(last);
            self.note_progress(&transfer.id, count, total)?;
            tokio::task::yield_now().await;
        }
        // No blob tells of what a crash could take back.
        self.store.read(|_| ()).await?;
        self.put_blob(&transfer.devices_blob, lines)?;
        if let Some(name) = &transfer.configurations_blob {
            self.put_blob(name, self.configuration_lines().await?)?;
        }
        Ok(())
    }
}

fn line(id: &IdentityId, entity: &Entity, exclude_keys: bool) -> Map<String, Value> {
    let (identity, twin) = (&entity.identity, &entity.twin);
    let is_device = id.module.is_none();
    let scope = identity.device_scope.as_ref().filter(|_| is_device);
    let cells = [
        ("id", Some(id.device.as_str().into())),
        ("moduleId", id.module.as_deref().map(Value::from)),
        ("eTag", Some(identity.etag().into())),
        ("status", is_device.then(|| identity.status.name().into())),
        ("statusReason", identity.status_reason.as_deref().map(Value::from)),
        ("authentication", Some(authentication(&identity.authentication, exclude_keys))),
        ("managedBy", identity.managed_by.as_deref().map(Value::from)),
        ("twinETag", Some(entity.twin_etag().into())),
        ("tags", Some(twin.tags.clone().into())),
        ("properties", Some(json!({ "desired": twin.desired.values(), "reported": twin.reported.values() }))),
        ("capabilities", is_device.then(|| json!({ "iotEdge": identity.iot_edge }))),
        ("deviceScope", scope.map(|scope| scope.as_str().into())),
        ("parentScopes", scope.map(|_| identity.parent_scopes.clone().into())),
    ];
    cells.into_iter().filter_map(|(name, cell)| Some((name.to_owned(), cell?))).collect()
}

fn authentication(authentication: &Authentication, exclude_keys: bool) -> Value {
    if !exclude_keys {
        return authentication_document(authentication);
    }
    json!({
        "symmetricKey": { "primaryKey": null, "secondaryKey": null },
        "x509Thumbprint": thumbprints(authentication),
        "type": authentication.kind(),
    })
}
