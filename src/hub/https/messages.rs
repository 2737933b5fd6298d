//! Messages to devices over REST: taking back those that wait, DELETE `/devices/{device}/commands`; and sending one, as the
//! command does, POST `/_ferrohub/devices/{device}/messages`. That is a path of our own, for the hub's owner: Azure's hubs
//! take such messages over AMQP only.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answers::Document;
use super::requests::{JsonBody, Target};
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::messages::NewMessage;

pub(super) async fn send_to_device(
    State(hub): State<HubState>,
    Target(device): Target,
    JsonBody(message): JsonBody<NewMessage>,
) -> Result<StatusCode, HubError> {
    hub.send_to_device(&device, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `moduleId` is null: modules have no such queue that back ends could see.
pub(super) async fn purge(State(hub): State<HubState>, Target(device): Target) -> Result<Document, HubError> {
    let purged = hub.purge_messages(&device).await?;
    let (device, module) = (device.device, Value::Null);
    Ok(Document::new(json!({ "totalMessagesPurged": purged, "deviceId": device, "moduleId": module })))
}
