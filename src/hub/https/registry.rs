//! `/devices` and `/statistics`: the identity registry over REST.

use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answers::{Document, method_not_allowed, refusal};
use super::documents::identity_document;
use super::queries;
use super::requests::{Condition, JsonBody, Target, most};
use crate::hub::HubState;
use crate::hub::bulk::Change;
use crate::hub::entity::Entity;
use crate::hub::error::HubError;
use crate::hub::registry::IdentityBody;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

type Answer = Result<Document, HubError>;

pub(super) async fn get_identity(State(hub): State<HubState>, Target(id): Target) -> Answer {
    let entity = hub.identity(&id).await?;
    Ok(document(&id, &entity))
}

/// 200 for created ones too, as Azure answers.
pub(super) async fn put_identity(
    State(hub): State<HubState>,
    Target(id): Target,
    Condition(condition): Condition,
    JsonBody(body): JsonBody<IdentityBody>,
) -> Answer {
    let entity = hub.put_identity(&id, body, condition).await?;
    Ok(document(&id, &entity))
}

pub(super) async fn delete_identity(
    State(hub): State<HubState>,
    Target(id): Target,
    Condition(condition): Condition,
) -> Result<StatusCode, HubError> {
    hub.delete_identity(&id, condition).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_devices(State(hub): State<HubState>, uri: Uri) -> Answer {
    let devices = hub.devices(most(&uri)?).await?;
    Ok(Document::new(devices.iter().map(|(id, entity)| identity_document(id, entity)).collect::<Vec<_>>()))
}

/// 200 if everything was done, else 400; the body says what wasn't, and why.
pub(super) async fn change_many(
    State(hub): State<HubState>,
    JsonBody(changes): JsonBody<Vec<Change>>,
) -> Result<Response, HubError> {
    let result = hub.change_identities(changes).await?;
    if result.errors.is_empty() {
        Ok(Document::new(result.document()).into_response())
    } else {
        Ok(refusal(ErrorCode::BULK_FAILURE, &result.document()))
    }
}

pub(super) async fn list_modules(State(hub): State<HubState>, Target(device): Target) -> Answer {
    let modules = hub.modules(&device).await?;
    Ok(Document::new(modules.iter().map(|(id, entity)| identity_document(id, entity)).collect::<Vec<_>>()))
}

pub(super) async fn device_statistics(State(hub): State<HubState>) -> Answer {
    let devices = hub.count_devices().await?;
    Ok(Document::new(json!({
        "totalDeviceCount": devices.total,
        "enabledDeviceCount": devices.enabled,
        "disabledDeviceCount": devices.total - devices.enabled,
    })))
}

pub(super) async fn service_statistics(State(hub): State<HubState>) -> Answer {
    let devices = hub.count_devices().await?;
    Ok(Document::new(json!({ "connectedDeviceCount": devices.connected })))
}

/// POST `/devices/query` is a path of its own; here, since a device may be called "query".
pub(super) async fn post_to_devices(hub: State<HubState>, request: Request) -> Result<Response, HubError> {
    if request.uri().path() == queries::PATH {
        Ok(queries::query(hub, request).await?.into_response())
    } else {
        Err(method_not_allowed(request.method().clone(), request.uri().clone()).await)
    }
}

fn document(id: &IdentityId, entity: &Entity) -> Document {
    let body: Value = identity_document(id, entity);
    Document::with_etag(body, entity.identity.etag())
}
