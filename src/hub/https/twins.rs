//! `/twins`: device and module twins over REST.

use axum::extract::State;
use serde_json::{Map, Value};

use super::answers::Document;
use super::requests::{Condition, JsonBody, Target};
use crate::hub::HubState;
use crate::hub::entity::Entity;
use crate::hub::error::HubError;
use crate::hub::registry::IfMatch;
use crate::hub::twin_document::twin_document;
use crate::hub::twins::TwinWrite;
use crate::protocol::identity::IdentityId;

type Answer = Result<Document, HubError>;
type Body = JsonBody<Map<String, Value>>;

pub(super) async fn get_twin(State(hub): State<HubState>, Target(id): Target) -> Answer {
    let entity = hub.twin(&id).await?;
    Ok(document(&id, &entity))
}

pub(super) async fn patch_twin(
    State(hub): State<HubState>,
    Target(id): Target,
    Condition(condition): Condition,
    JsonBody(body): Body,
) -> Answer {
    write(&hub, &id, TwinWrite::Patch, &body, condition).await
}

pub(super) async fn replace_twin(
    State(hub): State<HubState>,
    Target(id): Target,
    Condition(condition): Condition,
    JsonBody(body): Body,
) -> Answer {
    write(&hub, &id, TwinWrite::Replace, &body, condition).await
}

async fn write(
    hub: &HubState,
    id: &IdentityId,
    how: TwinWrite,
    body: &Map<String, Value>,
    condition: Option<IfMatch>,
) -> Answer {
    let entity = hub.write_twin(id, how, body, condition).await?;
    Ok(document(id, &entity))
}

fn document(id: &IdentityId, entity: &Entity) -> Document {
    Document::with_etag(twin_document(id, entity), entity.twin_etag())
}
