//! `/messages/serviceBound/…`: feedback and notifications of files, one at a time, each with the token by which whoever got
//! it settles it.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::answers::etag;
use super::requests::Name;
use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::feedback;
use crate::hub::service_queue::{ServiceQueue, Settlement};
use crate::hub::uploads;

/// One of the queues.
pub(super) trait Queue: Send + Sync + 'static {
    const CONTENT_TYPE: &str;

    fn of(hub: &HubState) -> &ServiceQueue;
}

pub(super) enum Feedback {}

impl Queue for Feedback {
    const CONTENT_TYPE: &str = feedback::CONTENT_TYPE;

    fn of(hub: &HubState) -> &ServiceQueue {
        &hub.feedback.queue
    }
}

pub(super) enum FileNotifications {}

impl Queue for FileNotifications {
    const CONTENT_TYPE: &str = uploads::NOTIFICATION_TYPE;

    fn of(hub: &HubState) -> &ServiceQueue {
        &hub.file_notifications
    }
}

/// 200 with the next message and its token, 204 if there is none.
pub(super) async fn next<Q: Queue>(State(hub): State<HubState>) -> Result<Response, HubError> {
    let Some(held) = hub.next_for_service(Q::of(&hub)).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let held = held.kept();
    let mut response = held.message.body.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Q::CONTENT_TYPE));
    if let Some(etag) = etag(&held.token.to_string()) {
        headers.insert(ETAG, etag);
    }
    Ok(response)
}

pub(super) async fn complete<Q: Queue>(
    State(hub): State<HubState>,
    Name(lock): Name,
) -> Result<StatusCode, HubError> {
    settle(&hub, Q::of(&hub), &lock, Settlement::Complete).await
}

pub(super) async fn abandon<Q: Queue>(
    State(hub): State<HubState>,
    Name(lock): Name,
) -> Result<StatusCode, HubError> {
    settle(&hub, Q::of(&hub), &lock, Settlement::Abandon).await
}

async fn settle(
    hub: &HubState,
    queue: &ServiceQueue,
    lock: &str,
    settlement: Settlement,
) -> Result<StatusCode, HubError> {
    // A text that no token can be is of no message.
    let token = Uuid::try_parse(lock.trim_matches('"')).unwrap_or_default();
    hub.settle_for_service(queue, token, settlement).await?;
    Ok(StatusCode::NO_CONTENT)
}
