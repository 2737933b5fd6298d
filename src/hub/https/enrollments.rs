//! `/_ferrohub/enrollments`: who may register with the provisioning service, for the hub's owner. Azure has this on a
//! host of its own.

use axum::extract::State;
use axum::http::StatusCode;

use super::answers::Document;
use super::requests::{JsonBody, Name};
use crate::hub::HubState;
use crate::hub::dps::NewEnrollment;
use crate::hub::error::HubError;

pub(super) async fn list(State(hub): State<HubState>) -> Result<Document, HubError> {
    let enrollments = hub.enrollments().await?;
    Ok(Document::new(enrollments.iter().map(|(enrollment, by)| enrollment.describe(by)).collect::<Vec<_>>()))
}

pub(super) async fn enroll(
    State(hub): State<HubState>,
    Name(id): Name,
    JsonBody(enrollment): JsonBody<NewEnrollment>,
) -> Result<Document, HubError> {
    Ok(Document::new(hub.enroll(&id, enrollment).await?.describe(&[])))
}

pub(super) async fn remove(State(hub): State<HubState>, Name(id): Name) -> Result<StatusCode, HubError> {
    hub.remove_enrollment(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
