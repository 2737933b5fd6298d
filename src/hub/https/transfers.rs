//! `/jobs`: imports and exports over REST; and for the hub's owner the address of the container that they use.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answers::Document;
use super::requests::{JsonBody, Name, query};
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::transfers::{Transfer, TransferBody};

type Answer = Result<Document, HubError>;

pub(super) async fn create(State(hub): State<HubState>, JsonBody(body): JsonBody<TransferBody>) -> Answer {
    Ok(Document::new(hub.start_transfer(body).await?.document()))
}

pub(super) async fn list(State(hub): State<HubState>) -> Answer {
    let all = hub.all_transfers().await?;
    Ok(Document::new(all.iter().map(Transfer::document).collect::<Value>()))
}

pub(super) async fn get_transfer(State(hub): State<HubState>, Name(id): Name) -> Answer {
    Ok(Document::new(hub.transfer(&id).await?.document()))
}

pub(super) async fn cancel(State(hub): State<HubState>, Name(id): Name) -> Result<StatusCode, HubError> {
    hub.cancel_transfer(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A path of our own: `{"uri": …}`, good for so many `seconds` as the query says.
pub(super) async fn container_uri(State(hub): State<HubState>, uri: Uri) -> Answer {
    let seconds = query(&uri, "seconds").and_then(|seconds| seconds.parse().ok());
    let seconds = seconds.ok_or_else(|| HubError::invalid("The query parameter seconds is not a number."))?;
    Ok(Document::new(json!({ "uri": hub.container_uri(Duration::from_secs(seconds)) })))
}
