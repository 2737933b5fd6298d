//! Messages to devices over REST: taking back those that wait, DELETE `/devices/{device}/commands`.

use axum::extract::State;
use serde_json::{Value, json};

use super::answers::Document;
use super::requests::Target;
use crate::hub::HubState;
use crate::hub::error::HubError;

/// `moduleId` is null: modules have no such queue that back ends could see.
pub(super) async fn purge(State(hub): State<HubState>, Target(device): Target) -> Result<Document, HubError> {
    let purged = hub.purge_messages(&device).await?;
    let (device, module) = (device.device, Value::Null);
    Ok(Document::new(json!({ "totalMessagesPurged": purged, "deviceId": device, "moduleId": module })))
}
