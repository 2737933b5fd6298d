//! POST `/devices/query`: twins that fulfil a condition, and what they hold, page by page.

use axum::extract::{FromRequest, Request, State};
use serde::Deserialize;

use super::pages::Paging;
use super::requests::JsonBody;
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::query::Page;

/// The path; a device may be called "query" too.
pub(super) const PATH: &str = "/devices/query";

#[derive(Deserialize)]
struct QueryBody {
    query: String,
}

pub(super) async fn query(State(hub): State<HubState>, request: Request) -> Result<Page, HubError> {
    let Paging { most, continuation } = Paging::read(request.headers())?;
    let JsonBody(body) = JsonBody::<QueryBody>::from_request(request, &hub).await?;
    hub.query_twins(&body.query, most, continuation.as_deref()).await
}
