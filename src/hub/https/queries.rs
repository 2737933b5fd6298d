//! POST `/devices/query`: twins that fulfil a condition, and what they hold, page by page.

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::answers::Document;
use super::requests::JsonBody;
use crate::hub::HubState;
use crate::hub::error::HubError;

/// The path; a device may be called "query" too.
pub(super) const PATH: &str = "/devices/query";
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
const MOST_ITEMS: HeaderName = HeaderName::from_static("x-ms-max-item-count");
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

#[derive(Deserialize)]
struct QueryBody {
    query: String,
}

pub(super) async fn query(State(hub): State<HubState>, request: Request) -> Result<Response, HubError> {
    let most = most_items(request.headers())?;
    let continuation = header(request.headers(), &CONTINUATION)?.map(str::to_owned);
    let JsonBody(body) = JsonBody::<QueryBody>::from_request(request, &hub).await?;
    let page = hub.query_twins(&body.query, most, continuation.as_deref()).await?;
    let mut response = Document::new(page.rows.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(ITEM_TYPE, HeaderValue::from_static(page.item_type));
    if let Some(token) = page.continuation.and_then(|token| HeaderValue::from_str(&token).ok()) {
        headers.insert(CONTINUATION, token);
    }
    Ok(response)
}

fn most_items(headers: &HeaderMap) -> Result<usize, HubError> {
    let Some(text) = header(headers, &MOST_ITEMS)? else { return Ok(USUAL_PAGE) };
    let count = text.parse().ok().filter(|count| (1..=LARGEST_PAGE).contains(count));
    count.ok_or_else(|| HubError::invalid(format!("{MOST_ITEMS} is not a number from 1 to {LARGEST_PAGE}.")))
}

/// A header's text; an empty one counts as none.
fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, HubError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| HubError::invalid(format!("{name} is not ASCII.")))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}
