//! POST `/devices/{device}/files` and what follows: the device's side of file upload.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::HOST;
use serde::Deserialize;
use serde_json::json;

use super::answers::Document;
use super::requests::{JsonBody, Target};
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::uploads::{CONTAINER, CompletionBody};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartBody {
    blob_name: Option<String>,
}

pub(super) async fn start(
    State(hub): State<HubState>,
    Target(device): Target,
    headers: HeaderMap,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Document, HubError> {
    let place = hub.start_upload(&device, body.blob_name.as_deref()).await?;
    Ok(Document::new(json!({
        "correlationId": place.correlation_id,
        "hostName": own_host(&hub, &headers),
        "containerName": CONTAINER,
        "blobName": place.blob_name,
        "sasToken": place.sas_token,
    })))
}

/// How the device reached the hub, port included: blobs are at the same place. Through a gateway, the hub's own name.
fn own_host<'a>(hub: &'a HubState, headers: &'a HeaderMap) -> &'a str {
    let asked = headers.get(HOST).and_then(|host| host.to_str().ok());
    asked.filter(|host| hub.access.is_this_hub(host)).unwrap_or(hub.access.host_name())
}

pub(super) async fn finish(
    State(hub): State<HubState>,
    Target(device): Target,
    JsonBody(body): JsonBody<CompletionBody>,
) -> Result<StatusCode, HubError> {
    hub.finish_upload(&device, None, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The path of older clients, with the correlation id in it.
pub(super) async fn finish_by_path(
    State(hub): State<HubState>,
    Target(device): Target,
    Path((_, correlation_id)): Path<(String, String)>,
    JsonBody(body): JsonBody<CompletionBody>,
) -> Result<StatusCode, HubError> {
    hub.finish_upload(&device, Some(&correlation_id), &body).await?;
    Ok(StatusCode::NO_CONTENT)
}
