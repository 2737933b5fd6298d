//! POST `/_ferrohub/devices/{device}/messages`: a cloud-to-device message, as the command sends it. A path of
//! our own, for the hub's owner: Azure's hubs take such messages over AMQP only.

use axum::extract::State;
use axum::http::StatusCode;

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
