//! What comes in: whom a path names, conditions, bodies and queries.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::hub::digital_twins;
use crate::hub::error::HubError;
use crate::hub::json_body;
use crate::hub::registry::IfMatch;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

/// The device, or the module on it, that the path names; its parts are percent-decoded once.
pub(super) struct Target(pub(super) IdentityId);

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HubError> {
        let names = path_names(parts, state).await?;
        let name = |wanted: &str| names.iter().find(|(key, _)| *key == wanted).map(|(_, name)| name);
        let device = name("device").unwrap_or_default();
        Ok(Self(match name("module") {
            Some(module) => IdentityId::module(device, module)?,
            None => IdentityId::device(device)?,
        }))
    }
}

/// The digital twin that the path names, and its command if it names one.
pub(super) struct DigitalTarget {
    pub(super) id: IdentityId,
    component: Option<String>,
    command: String,
}

impl DigitalTarget {
    /// The direct method that its command is.
    pub(super) fn method(&self) -> String {
        self.component
            .as_ref()
            .map_or_else(|| self.command.clone(), |name| format!("{name}*{}", self.command))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DigitalTarget {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HubError> {
        let names = path_names(parts, state).await?;
        let name =
            |wanted: &str| names.iter().find(|(key, _)| *key == wanted).map(|(_, name)| name.to_owned());
        Ok(Self {
            id: digital_twins::parse_id(&name("device").unwrap_or_default())?,
            component: name("component"),
            command: name("command").unwrap_or_default(),
        })
    }
}

/// The `{name}` in a path, percent-decoded once.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HubError> {
        let names = path_names(parts, state).await?;
        let name = names.iter().find(|(key, _)| *key == "name").map(|(_, name)| name);
        Ok(Self(name.unwrap_or_default().to_owned()))
    }
}

async fn path_names<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, HubError> {
    let names = RawPathParams::from_request_parts(parts, state).await;
    names.map_err(|_| HubError::invalid("The path is not valid UTF-8."))
}

/// The header `If-Match`.
pub(super) struct Condition(pub(super) Option<IfMatch>);

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = HubError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HubError> {
        let Some(header) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        let text = header.to_str().map_err(|_| HubError::invalid("If-Match is not ASCII."))?;
        Ok(Self(Some(IfMatch::parse(text))))
    }
}

/// A JSON body, whatever its content type says.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = HubError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HubError> {
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        Ok(Self(json_body::read(&body)?))
    }
}

/// What is told of a body that did not come whole.
pub(super) fn unreadable(rejection: BytesRejection) -> HubError {
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        HubError::new(ErrorCode::MESSAGE_TOO_LARGE, "The body is too large.")
    } else {
        HubError::invalid("The body could not be read.")
    }
}

/// The value of a query parameter, percent-decoded.
pub(super) fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// The query parameter `top`: how much an answer may hold at most.
pub(super) fn most(uri: &Uri) -> Result<usize, HubError> {
    let Some(top) = query(uri, "top") else { return Ok(usize::MAX) };
    top.parse().map_err(|_| HubError::invalid("The query parameter top is not a number."))
}
