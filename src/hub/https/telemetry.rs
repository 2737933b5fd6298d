//! POST `/devices/{device}/messages/events`: what a device sends over HTTPS, one message or a batch.
//!
//! <https://learn.microsoft.com/rest/api/iothub/device/send-device-event>

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::requests::{Target, unreadable};
use crate::hub::HubState;
use crate::hub::entity::Status;
use crate::hub::error::HubError;
use crate::hub::events::{Event, Sender, Source};
use crate::hub::sessions::Shown;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::properties;

/// Of a message or a batch.
const LARGEST: usize = 256 << 10;
const BATCH: &str = "application/vnd.microsoft.iothub.json";
const APPLICATION: &str = "iothub-app-";
/// Headers that are system properties, and the names of these in topics.
const SYSTEM: [(&str, &str); 7] = [
    ("iothub-messageid", "$.mid"),
    ("iothub-correlationid", "$.cid"),
    ("iothub-userid", "$.uid"),
    ("iothub-to", "$.to"),
    ("iothub-expiry", "$.exp"),
    ("iothub-contenttype", "$.ct"),
    ("iothub-contentencoding", "$.ce"),
];

/// One message of a batch.
#[derive(Deserialize)]
struct Batched {
    body: String,
    /// Whether the body is base64, which it is unless it says that it is not.
    #[serde(rename = "base64Encoded", default = "yes")]
    is_base64: bool,
    /// Under the names of the headers.
    #[serde(default)]
    properties: Map<String, Value>,
}

fn yes() -> bool {
    true
}

pub(super) async fn send(
    State(hub): State<HubState>,
    Target(device): Target,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, HubError> {
    let body = body.map_err(unreadable)?;
    if body.len() > LARGEST {
        let message = format!("The message has {} bytes: at most {LARGEST} are allowed.", body.len());
        return Err(HubError::new(ErrorCode::MESSAGE_TOO_LARGE, message));
    }
    let entity = hub.store.peek(|state| state.get(&device).cloned());
    let entity = entity.ok_or_else(|| HubError::not_found(&device))?;
    if entity.identity.status == Status::Disabled {
        return Err(HubError::new(ErrorCode::DEVICE_DISABLED, format!("{device} is disabled.")));
    }
    let sender = Arc::new(Sender {
        auth_method: shown.auth_method(&device),
        generation_id: entity.identity.generation_id.clone(),
        model_id: String::new(),
        id: device,
    });
    let event = |properties: String, body: Bytes| Event {
        sender: Arc::clone(&sender),
        source: Source::Telemetry,
        enqueued_unix_millis: hub.clock.unix_millis(),
        properties,
        body,
        duplicate: false,
    };
    let is_batch = headers.get(CONTENT_TYPE).is_some_and(|content| content.as_bytes() == BATCH.as_bytes());
    let events = if is_batch {
        let batch: Vec<Batched> = serde_json::from_slice(&body)
            .map_err(|error| HubError::invalid(format!("The batch is not as it has to be: {error}.")))?;
        batch.into_iter().map(|one| one.read().map(|(properties, body)| event(properties, body))).collect()
    } else {
        let named = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        Ok(vec![event(named_properties(named), body)])
    };
    let events: Result<Vec<_>, HubError> = events;
    hub.receive(events?.into_iter()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Batched {
    fn read(self) -> Result<(String, Bytes), HubError> {
        let named = self.properties.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        let properties = named_properties(named);
        if !self.is_base64 {
            return Ok((properties, self.body.into()));
        }
        let body = STANDARD.decode(&self.body);
        let body =
            body.map_err(|_| HubError::invalid("The body of a message of the batch is not base64."))?;
        Ok((properties, body.into()))
    }
}

/// Those of headers that are properties, as they stand in topics.
fn named_properties<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let named = headers.filter_map(|(name, value)| {
        let system = SYSTEM.iter().find(|(header, _)| name.eq_ignore_ascii_case(header));
        let application =
            || name.get(..APPLICATION.len()).filter(|start| start.eq_ignore_ascii_case(APPLICATION));
        match system {
            Some((_, system)) => Some((*system, value)),
            None => application().map(|start| (&name[start.len()..], value)),
        }
    });
    properties::encode(named)
}
