//! What the blob endpoint answers: blobs, and errors in the form of Azure Storage.

use std::ops::RangeInclusive;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::hub::blobs::{Blob, Refusal};
use crate::protocol::timestamp::http_date;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
/// What a client sends and gets back.
const ECHOED: [HeaderName; 2] =
    [HeaderName::from_static("x-ms-version"), HeaderName::from_static("x-ms-client-request-id")];

/// Why a request is refused: status, code and text.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlobError(u16, &'static str, &'static str);

impl BlobError {
    pub(super) const NO_TOKEN: Self = Self(
        401,
        "NoAuthenticationInformation",
        "The address has no token: a device gets one with its sasToken, which belongs at the end of the address.",
    );
    pub(super) const REFUSED: Self = Self(
        403,
        "AuthenticationFailed",
        "The token is not one for this blob and operation, it has expired, or the hub was started again since.",
    );
    pub(super) const NOT_FOUND: Self = Self(404, "BlobNotFound", "The specified blob does not exist.");
    pub(super) const TOO_LARGE: Self =
        Self(413, "RequestBodyTooLarge", "The local hub keeps 256 MiB of blobs in memory, and this is more.");
    pub(super) const NO_TYPE: Self =
        Self(400, "MissingRequiredHeader", "The header x-ms-blob-type is missing; it has to be BlockBlob.");
    pub(super) const NO_BLOCK_ID: Self =
        Self(400, "MissingRequiredQueryParameter", "The query parameter blockid is missing.");
    pub(super) const BAD_BLOCK_LIST: Self = Self(
        400,
        "InvalidXmlDocument",
        "The body is no list of blocks; the local hub knows Latest and Uncommitted ones.",
    );
    pub(super) const UNSUPPORTED: Self = Self(
        501,
        "NotImplemented",
        "The local hub has Put Blob, Put Block, Put Block List, Get Blob and Get Blob Properties of block blobs, \
         with the conditions If-Match and If-None-Match: *.",
    );
    const OUT_OF_RANGE: Self =
        Self(416, "InvalidRange", "The range specified is invalid for the current size of the resource.");
}

impl From<Refusal> for BlobError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Exists => Self(409, "BlobAlreadyExists", "The specified blob already exists."),
            Refusal::OtherVersion => Self(
                412,
                "ConditionNotMet",
                "The condition specified using HTTP conditional header(s) is not met.",
            ),
            Refusal::NoSuchBlock => Self(400, "InvalidBlockList", "The specified block list is invalid."),
            Refusal::TooManyBlocks => {
                Self(409, "BlockCountExceedsLimit", "A blob has 50,000 blocks at most.")
            }
            Refusal::Full => Self::TOO_LARGE,
        }
    }
}

impl IntoResponse for BlobError {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(code));
        response
    }
}

/// Around every request: what the client named itself and its request by goes back.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let echoed = ECHOED.map(|name| (request.headers().get(&name).cloned(), name));
    let mut response = next.run(request).await;
    for (value, name) in echoed {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// 201, with the version of what was made.
pub(super) fn created(blob: Option<&Blob>) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    if let Some(blob) = blob {
        add_version(response.headers_mut(), blob);
    }
    response
}

/// The blob, or the bytes of this range.
pub(super) fn whole_or_part(
    blob: &Blob,
    range: Option<RangeInclusive<usize>>,
) -> Result<Response, BlobError> {
    let length = blob.content.len();
    let mut response = match range {
        None => Response::new(Body::from(blob.content.clone())),
        Some(range) if *range.start() >= length || range.is_empty() => return Err(BlobError::OUT_OF_RANGE),
        Some(range) => {
            let (first, last) = (*range.start(), (*range.end()).min(length - 1));
            let mut response = Response::new(Body::from(blob.content.slice(first..=last)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            add(response.headers_mut(), CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
            response
        }
    };
    let headers = response.headers_mut();
    add_version(headers, blob);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
    add(headers, HeaderName::from_static("x-ms-creation-time"), &http_date(blob.modified_unix_millis));
    for (name, value) in &blob.headers {
        if let Ok(name) = name.parse() {
            add(headers, name, value);
        }
    }
    Ok(response)
}

fn add_version(headers: &mut HeaderMap, blob: &Blob) {
    add(headers, ETAG, &format!("\"0x{:X}\"", blob.version));
    add(headers, LAST_MODIFIED, &http_date(blob.modified_unix_millis));
    headers.insert("x-ms-request-server-encrypted", HeaderValue::from_static("false"));
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
