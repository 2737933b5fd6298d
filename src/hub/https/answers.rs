//! What goes back: documents, errors, and the headers that every answer has.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, SERVER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;

const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const SERVER_NAME: HeaderValue = HeaderValue::from_static(concat!("FerroHub/", env!("CARGO_PKG_VERSION")));

/// 200 with a JSON document.
pub(super) struct Document {
    body: Vec<u8>,
    etag: Option<String>,
}

impl Document {
    pub(super) fn new(body: impl Serialize) -> Self {
        Self::of_json(written(&body))
    }

    /// A document that is written already.
    pub(super) fn of_json(body: Vec<u8>) -> Self {
        Self { body, etag: None }
    }

    /// A document with this `ETag`, here without quotes.
    pub(super) fn with_etag(body: impl Serialize, etag: String) -> Self {
        Self { etag: Some(etag), ..Self::new(body) }
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        let mut response = json_response(StatusCode::OK, self.body);
        if let Some(etag) = self.etag.as_deref().and_then(etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        response
    }
}

/// The header's value, in quotes.
pub(super) fn etag(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{text}\"")).ok()
}

/// A refusal whose body says more than the forms of an error can.
pub(super) fn refusal(code: ErrorCode, body: &Value) -> Response {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, written(body));
    response.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(code.name()));
    response
}

// Only marks the response: `finish` knows the hub's time and writes the body.
impl IntoResponse for HubError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// Around every request: counts it, writes the body of a refusal, and adds the common headers.
pub(super) async fn finish(State(hub): State<HubState>, request: Request, next: Next) -> Response {
    hub.counters.rest_requests.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<HubError>() {
        response = refusal(error.code(), &error.rest_body(hub.clock.unix_millis()));
    }
    let headers = response.headers_mut();
    headers.insert(SERVER, SERVER_NAME);
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Documents have texts for keys, so nothing in them can't be written.
fn written(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// 501: part of IoT Hub, but not of this hub.
pub(super) async fn not_implemented(method: Method, uri: Uri) -> HubError {
    let message = format!("The local hub does not implement {method} {} yet.", uri.path());
    HubError::new(ErrorCode::NOT_IMPLEMENTED, message)
}

/// 404: no path of IoT Hub.
pub(super) async fn unknown_path(uri: Uri) -> HubError {
    HubError::new(ErrorCode::NOT_FOUND, format!("There is no path {}.", uri.path()))
}

/// 405: a path of IoT Hub, but not with this method.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> HubError {
    HubError::new(ErrorCode::METHOD_NOT_ALLOWED, format!("{} can't be asked with {method}.", uri.path()))
}
