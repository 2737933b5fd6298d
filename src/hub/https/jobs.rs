//! `/jobs/v2`: scheduled jobs over REST.

use axum::extract::State;
use axum::http::Uri;
use serde_json::json;

use super::answers::Document;
use super::pages::Paging;
use super::requests::{JsonBody, Name, query};
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::jobs::{JobBody, JobFilter, Kind, Status};
use crate::hub::query::Page;

type Answer = Result<Document, HubError>;

pub(super) async fn create(
    State(hub): State<HubState>,
    Name(id): Name,
    JsonBody(body): JsonBody<JobBody>,
) -> Answer {
    Ok(Document::new(hub.schedule_job(&id, body).await?.document()))
}

/// A job that isn't known is no error, as on Azure.
pub(super) async fn get_job(State(hub): State<HubState>, Name(id): Name) -> Answer {
    let job = hub.job(&id).await?;
    let document = job.map(|job| job.document());
    Ok(Document::new(document.unwrap_or_else(|| json!({ "type": "unknown", "status": "unknown" }))))
}

pub(super) async fn cancel(State(hub): State<HubState>, Name(id): Name) -> Answer {
    Ok(Document::new(hub.cancel_job(&id).await?.document()))
}

/// GET `/jobs/v2/query`.
pub(super) async fn list(State(hub): State<HubState>, uri: Uri, paging: Paging) -> Result<Page, HubError> {
    let filter = JobFilter {
        kind: chosen(&uri, "jobType", &Kind::ALL, Kind::name)?,
        status: chosen(&uri, "jobStatus", &Status::ALL, Status::name)?,
    };
    hub.list_jobs(filter, paging.most, paging.continuation.as_deref()).await
}

/// What a query parameter names, in whatever case.
fn chosen<T: Copy>(
    uri: &Uri,
    parameter: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<Option<T>, HubError> {
    let Some(text) = query(uri, parameter) else { return Ok(None) };
    let found = all.iter().copied().find(|one| name(*one).eq_ignore_ascii_case(&text));
    found.map(Some).ok_or_else(|| {
        let names: Vec<_> = all.iter().copied().map(name).collect();
        HubError::invalid(format!("{parameter} is '{text}', and has to be one of {}.", names.join(", ")))
    })
}
