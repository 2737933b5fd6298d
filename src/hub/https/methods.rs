//! POST `/twins/…/methods`: direct methods over REST. Their errors have the nested form.

use axum::extract::State;
use serde_json::json;

use super::answers::Document;
use super::requests::{JsonBody, Target};
use crate::hub::HubState;
use crate::hub::error::{Form, HubError};
use crate::hub::methods::MethodBody;

pub(super) async fn invoke(
    State(hub): State<HubState>,
    Target(id): Target,
    body: Result<JsonBody<MethodBody>, HubError>,
) -> Result<Document, HubError> {
    let calling = async { hub.invoke_method(&id, body?.0).await };
    let result = calling.await.map_err(|error| error.in_form(Form::Nested))?;
    Ok(Document::new(json!({ "status": result.status, "payload": result.payload })))
}
