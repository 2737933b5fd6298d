//! Errors of the hub as AMQP has them: a condition for programs, the flat form of the error as the description, and a
//! tracking id.

use fe2o3_amqp::types::definitions::{AmqpError, Error, ErrorCondition, Fields, LinkError};
use fe2o3_amqp::types::primitives::{Symbol, Value};

use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::events::Occupied;
use crate::protocol::error_code::ErrorCode;

const TRACKING_ID: &str = "com.microsoft:tracking-id";

/// The error of a link or a disposition.
pub(super) fn refusal(error: &HubError, hub: &HubState) -> Error {
    let body = error.flat_body(hub.clock.unix_millis());
    let mut info = Fields::new();
    info.insert(
        Symbol::from(TRACKING_ID),
        Value::from(body["trackingId"].as_str().unwrap_or_default().to_owned()),
    );
    Error::new(condition(error.code()), body.to_string(), info)
}

fn condition(code: ErrorCode) -> ErrorCondition {
    let microsofts = |name: &str| ErrorCondition::Custom(Symbol::from(format!("com.microsoft:{name}")));
    match code {
        ErrorCode::QUEUE_DEPTH_EXCEEDED => AmqpError::ResourceLimitExceeded.into(),
        ErrorCode::MESSAGE_TOO_LARGE => LinkError::MessageSizeExceeded.into(),
        ErrorCode::INVALID_EXPIRY => microsofts("argument-out-of-range"),
        _ => match code.status() {
            400 => microsofts("argument-error"),
            401 => AmqpError::UnauthorizedAccess.into(),
            403 => AmqpError::NotAllowed.into(),
            404 => AmqpError::NotFound.into(),
            501 => AmqpError::NotImplemented.into(),
            _ => AmqpError::InternalError.into(),
        },
    }
}

/// The error of a link to a partition that others read.
pub(super) fn occupied(occupied: Occupied) -> Error {
    match occupied {
        Occupied::Owned(text) => stolen(text),
        Occupied::Full(text) => Error::new(AmqpError::ResourceLimitExceeded, text, None),
    }
}

/// The error of a link whose partition somebody else has taken.
pub(super) fn stolen(text: String) -> Error {
    Error::new(LinkError::Stolen, text, None)
}
