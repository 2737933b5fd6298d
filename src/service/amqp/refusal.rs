//! What the hub says no with: conditions, and JSON in their descriptions.

use fe2o3_amqp::connection::ConnectionStopReason;
use fe2o3_amqp::link::{
    DetachError, DispositionError, LinkStateError, ReceiverAttachError, RecvError, SendError,
    SenderAttachError, SessionStopReason,
};
use fe2o3_amqp::types::definitions::{AmqpError, Error as AmqpReason, ErrorCondition, LinkError};
use fe2o3_amqp::types::messaging::Outcome;
use fe2o3_amqp::types::primitives::Value as AmqpValue;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::refusal::Refusal;

/// The words of the official package, which says no more.
const NOT_SENT: &str = "C2D message send failure";

/// Conditions of Azure's own after which another attempt may help.
const TEMPORARY: [&str; 5] = [
    "com.microsoft:server-busy",
    "com.microsoft:timeout",
    "com.microsoft:operation-cancelled",
    "com.microsoft:container-close",
    "com.microsoft:partition-not-owned",
];

/// What became of a message.
pub(super) fn outcome(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Rejected(rejected) => Err(rejected.error.map_or_else(
            || {
                Error::new(
                    ErrorKind::Service(400),
                    format!("{NOT_SENT}: the hub rejected it without a reason"),
                )
            },
            |reason| {
                Error::new(ErrorKind::Service(status(&reason)), format!("{NOT_SENT}: {}", sentence(&reason)))
            },
        )),
        Outcome::Released(_) | Outcome::Modified(_) => {
            Err(Error::new(ErrorKind::Service(503), format!("{NOT_SENT}: the hub gave it back")))
        }
    }
}

/// A link that was not attached.
pub(super) fn attach(error: &SenderAttachError) -> Error {
    match error {
        SenderAttachError::RemoteClosedWithError(reason) => detached(reason),
        SenderAttachError::SessionStopped(reason) => stopped(reason),
        error => link("the hub does not attach the link", error),
    }
}

/// A link, session or connection that is no more.
pub(super) fn lost(error: SendError) -> Error {
    match error {
        SendError::LinkStateError(LinkStateError::SessionStopped(reason)) => stopped(&reason),
        SendError::LinkStateError(
            LinkStateError::RemoteClosedWithError(reason) | LinkStateError::RemoteDetachedWithError(reason),
        )
        | SendError::Detached(
            DetachError::RemoteClosedWithError(reason) | DetachError::RemoteDetachedWithError(reason),
        ) => detached(&reason),
        error => dropped().caused_by(Error::new(ErrorKind::Protocol, error.to_string())),
    }
}

/// A link for receiving that was not attached.
pub(super) fn receiver_attach(error: &ReceiverAttachError) -> Error {
    match error {
        ReceiverAttachError::RemoteClosedWithError(reason) => not_received(reason),
        ReceiverAttachError::SessionStopped(reason) => stopped(reason),
        error => link("the hub does not attach the link", error),
    }
}

/// What a link for receiving has ended with.
pub(super) fn received(error: RecvError) -> Error {
    match error {
        RecvError::LinkStateError(error) => link_ended(error),
        error => link("a message can't be read", error),
    }
}

/// The link that was to say what became of messages has ended.
pub(super) fn not_settled(error: DispositionError) -> Error {
    match error {
        DispositionError::SessionStopped(reason) => stopped(&reason),
        DispositionError::IllegalState => dropped(),
    }
}

fn link_ended(error: LinkStateError) -> Error {
    match error {
        LinkStateError::SessionStopped(reason) => stopped(&reason),
        LinkStateError::RemoteClosedWithError(reason) | LinkStateError::RemoteDetachedWithError(reason) => {
            not_received(&reason)
        }
        error => dropped().caused_by(Error::new(ErrorKind::Protocol, error.to_string())),
    }
}

/// A link that the hub does not give, or takes away: for good, or for now.
pub(super) fn not_received(reason: &AmqpReason) -> Error {
    let text = format!("the hub ended the link: {}", sentence(reason));
    match &reason.condition {
        ErrorCondition::AmqpError(AmqpError::NotFound) => {
            Error::new(ErrorKind::Service(404), format!("there is nothing to receive: {}", sentence(reason)))
        }
        ErrorCondition::AmqpError(AmqpError::InternalError)
        | ErrorCondition::LinkError(LinkError::DetachForced) => {
            Error::new(ErrorKind::ConnectionDropped, text)
        }
        ErrorCondition::Custom(symbol) if TEMPORARY.contains(&symbol.as_str()) => {
            Error::new(ErrorKind::ConnectionDropped, text)
        }
        _ => detached(reason),
    }
}

/// Anything else that a link ends with.
pub(super) fn link(text: &str, error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Protocol, text).caused_by(Error::new(ErrorKind::Protocol, error.to_string()))
}

fn stopped(reason: &SessionStopReason) -> Error {
    match reason {
        SessionStopReason::EndedWithError(reason)
        | SessionStopReason::RemoteEndedWithError(reason)
        | SessionStopReason::ConnectionStopped(
            ConnectionStopReason::ClosedWithError(reason)
            | ConnectionStopReason::RemoteClosedWithError(reason),
        ) => Error::new(
            ErrorKind::ConnectionDropped,
            format!("the hub closed the connection: {}", sentence(reason)),
        ),
        _ => dropped(),
    }
}

fn dropped() -> Error {
    Error::new(ErrorKind::ConnectionDropped, "the connection to the hub was lost")
}

fn detached(reason: &AmqpReason) -> Error {
    let text = format!("the hub refuses the link: {}", sentence(reason));
    if reason.condition == ErrorCondition::from(AmqpError::UnauthorizedAccess) {
        let advice = "check that the policy has the right ServiceConnect, and this computer's clock";
        return Error::new(ErrorKind::Unauthorized, format!("{text}; {advice}"));
    }
    Error::new(ErrorKind::Protocol, text)
}

/// The hub's own words, with the condition and the six-digit code.
fn sentence(reason: &AmqpReason) -> String {
    let condition = match &reason.condition {
        ErrorCondition::Custom(symbol) => symbol.as_str().to_owned(),
        condition => match serde_amqp::to_value(condition) {
            Ok(AmqpValue::Symbol(symbol)) => symbol.0,
            _ => String::new(),
        },
    };
    let description = reason.description.as_deref().unwrap_or_default();
    let words = Refusal::read(description.as_bytes())
        .map_or_else(|| description.to_owned(), |words| words.to_string());
    match (words.as_str(), code(reason)) {
        ("", _) => condition,
        (words, None) => format!("{words} ({condition})"),
        (words, Some(code)) => format!("{words} ({condition}, {code})"),
    }
}

fn code(reason: &AmqpReason) -> Option<u64> {
    let body: Value = serde_json::from_str(reason.description.as_deref()?).ok()?;
    body["errorCode"].as_u64()
}

/// The HTTP status that stands for the reason: that of the six-digit code in the description, or the condition's.
fn status(reason: &AmqpReason) -> u16 {
    let status = code(reason).and_then(|code| u16::try_from(code / 1000).ok());
    status.filter(|status| (400..600).contains(status)).unwrap_or(match &reason.condition {
        ErrorCondition::AmqpError(AmqpError::NotFound) => 404,
        ErrorCondition::AmqpError(AmqpError::UnauthorizedAccess) => 401,
        ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded | AmqpError::NotAllowed) => 403,
        ErrorCondition::AmqpError(AmqpError::NotImplemented) => 501,
        ErrorCondition::AmqpError(AmqpError::InternalError) => 500,
        ErrorCondition::LinkError(LinkError::MessageSizeExceeded) => 413,
        _ => 400,
    })
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::{Accepted, Rejected, Released};
    use fe2o3_amqp::types::primitives::Symbol;

    use super::*;

    fn rejected(condition: impl Into<ErrorCondition>, description: &str) -> Error {
        let reason = AmqpReason::new(condition, description.to_owned(), None);
        outcome(Outcome::Rejected(Rejected { error: Some(reason) })).unwrap_err()
    }

    #[test]
    fn only_what_was_accepted_was_sent() {
        outcome(Outcome::Accepted(Accepted {})).unwrap();
        let released = outcome(Outcome::Released(Released {})).unwrap_err();
        assert_eq!(released.kind(), ErrorKind::Service(503));
        let without_a_reason = outcome(Outcome::Rejected(Rejected { error: None })).unwrap_err();
        assert_eq!(without_a_reason.kind(), ErrorKind::Service(400));
    }

    #[test]
    fn the_reason_is_told_with_its_condition_and_code() {
        let full = r#"{"errorCode":403004,"message":"too many","trackingId":"…"}"#;
        for (error, status, text) in [
            (
                rejected(AmqpError::ResourceLimitExceeded, full),
                403,
                "too many (amqp:resource-limit-exceeded, 403004)",
            ),
            (rejected(AmqpError::NotFound, "who?"), 404, "who? (amqp:not-found)"),
            (rejected(LinkError::MessageSizeExceeded, ""), 413, "amqp:link:message-size-exceeded"),
            (
                rejected(ErrorCondition::Custom(Symbol::from("com.microsoft:timeout")), "late"),
                400,
                "late (com.microsoft:timeout)",
            ),
        ] {
            assert_eq!(error.kind(), ErrorKind::Service(status));
            assert_eq!(error.message(), format!("{NOT_SENT}: {text}"));
        }
    }

    #[test]
    fn a_link_that_lacks_the_right_is_another_thing_than_any_other() {
        let refusal = |condition: AmqpError| {
            let reason = AmqpReason::new(condition, "no".to_owned(), None);
            attach(&SenderAttachError::RemoteClosedWithError(reason)).kind()
        };
        assert_eq!(refusal(AmqpError::UnauthorizedAccess), ErrorKind::Unauthorized);
        assert_eq!(refusal(AmqpError::NotImplemented), ErrorKind::Protocol);
    }
}
