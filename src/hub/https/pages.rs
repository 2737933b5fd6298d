//! Answers that come page by page: how many items a page may have, where it begins, and where the next one does.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::answers::Document;
use crate::hub::error::HubError;
use crate::hub::query::Page;

const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
const MOST_ITEMS: HeaderName = HeaderName::from_static("x-ms-max-item-count");
const USUAL_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Which page is asked for.
pub(super) struct Paging {
    pub(super) most: usize,
    pub(super) continuation: Option<String>,
}

impl Paging {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, HubError> {
        let continuation = header(headers, &CONTINUATION)?.map(str::to_owned);
        Ok(Self { most: most_items(headers)?, continuation })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HubError> {
        Self::read(&parts.headers)
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = Document::of_json(self.rows.into_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(ITEM_TYPE, HeaderValue::from_static(self.item_type));
        if let Some(token) = self.continuation.and_then(|token| HeaderValue::from_str(&token).ok()) {
            headers.insert(CONTINUATION, token);
        }
        response
    }
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
