//! The blob endpoint, at the hub's own address: what Azure Storage does for the files of devices, for whoever has the
//! token that the hub gave a device, or that of the whole container.
//!
//! Put Blob, Put Block, Put Block List, Get Blob and Get Blob Properties of block blobs, as
//! `azure-storage-blob` asks for them; everything else is refused by name.
//! <https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs>

mod answers;
mod requests;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;

use super::requests::query;
use super::routes::{Routes, get};
use crate::hub::HubState;
use crate::hub::blobs::{Blob, CAPACITY};
use crate::hub::uploads::{CONTAINER, SasQuery};
use answers::{BlobError, created, whole_or_part};
use requests::{block_ids, kept_headers, write_condition};

/// The paths of blobs; they have a token in their query, and none of the hub's rules.
pub(super) fn paths() -> Routes {
    let blob = get(read).put(write).fallback(unsupported);
    Routes::new().route(&format!("/{CONTAINER}/{{*blob}}"), blob)
}

pub(super) fn router(state: HubState) -> Router<HubState> {
    paths()
        .into_router()
        .route_layer(from_fn_with_state(state, admit))
        .layer(DefaultBodyLimit::max(CAPACITY))
        .layer(from_fn(answers::finish))
}

/// The token has to be the hub's, for this blob and for what is asked.
async fn admit(
    State(hub): State<HubState>,
    Path(name): Path<String>,
    request: Request,
    next: Next,
) -> Result<Response, BlobError> {
    let writes = ![Method::GET, Method::HEAD].contains(request.method());
    let permission = if writes { 'w' } else { 'r' };
    let token = SasQuery::read(request.uri().query().unwrap_or_default()).ok_or(BlobError::NO_TOKEN)?;
    if !hub.uploads.opens(&name, &token, permission, hub.clock.unix_millis()) {
        return Err(BlobError::REFUSED);
    }
    Ok(next.run(request).await)
}

/// Get Blob, whole or in part, and its properties.
async fn read(
    State(hub): State<HubState>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, BlobError> {
    if query(&uri, "comp").is_some() {
        return Err(BlobError::UNSUPPORTED);
    }
    let blob = hub.uploads.blobs.get(&name).ok_or(BlobError::NOT_FOUND)?;
    // HEAD tells of the whole blob, and axum leaves its body out.
    let range = if method == Method::HEAD { None } else { requests::range(&headers) };
    whole_or_part(&blob, range)
}

/// Put Blob, Put Block and Put Block List.
async fn write(
    State(hub): State<HubState>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    content: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, BlobError> {
    let content = content.map_err(|_| BlobError::TOO_LARGE)?;
    let blobs = &hub.uploads.blobs;
    let new = Blob {
        headers: kept_headers(&headers),
        modified_unix_millis: hub.clock.unix_millis(),
        ..Blob::default()
    };
    match query(&uri, "comp").as_deref() {
        None => {
            let kind = headers.get("x-ms-blob-type").ok_or(BlobError::NO_TYPE)?;
            if kind != "BlockBlob" {
                return Err(BlobError::UNSUPPORTED);
            }
            let blob = Blob { content, ..new };
            Ok(created(Some(&blobs.put(&name, blob, write_condition(&headers)?)?)))
        }
        Some("block") => {
            let id = query(&uri, "blockid").filter(|id| !id.is_empty()).ok_or(BlobError::NO_BLOCK_ID)?;
            blobs.put_block(&name, id, content)?;
            Ok(created(None))
        }
        Some("blocklist") => {
            let ids = block_ids(&content).ok_or(BlobError::BAD_BLOCK_LIST)?;
            let blob = blobs.put_block_list(&name, &ids, new, write_condition(&headers)?)?;
            Ok(created(Some(&blob)))
        }
        Some(_) => Err(BlobError::UNSUPPORTED),
    }
}

async fn unsupported() -> BlobError {
    BlobError::UNSUPPORTED
}
