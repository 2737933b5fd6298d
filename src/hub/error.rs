//! How the hub says no: one error, written in the three forms that IoT Hub's endpoints use.

use std::fmt;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::{IdentityId, InvalidName};
use crate::protocol::timestamp::{american_timestamp, timestamp};
use crate::protocol::twin::InvalidTwin;

/// Which of the forms a REST answer has; clients parse all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{"Message":"ErrorCode:…;…","ExceptionMessage":"Tracking ID:…"}`: registry, twins, authorization.
    Classic,
    /// The flat form as a JSON text in `Message`: direct methods, digital twins.
    Nested,
    /// `{"errorCode":…,"message":…,"trackingId":…,"timestampUtc":…}`: modules; always over MQTT.
    Flat,
}

/// A request that the hub refuses or can't fulfil: a code and a text, never with a key or token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubError {
    code: ErrorCode,
    message: String,
    form: Form,
    /// Details for programs, in the nested form only.
    info: Option<Box<Value>>,
}

impl HubError {
    /// An error in the classic form.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), form: Form::Classic, info: None }
    }

    /// The same error in another form.
    #[must_use]
    pub fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The same error with details for programs.
    #[must_use]
    pub fn with_info(self, info: Value) -> Self {
        Self { info: Some(Box::new(info)), ..self }
    }

    /// 400: something in the request breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ARGUMENT_INVALID, message)
    }

    /// 401: who asks has no right to it. Says no more, as whoever guesses reads it too.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(ErrorCode::UNAUTHORIZED_ACCESS, "Unauthorized")
    }

    /// 404: there is no such device or module.
    #[must_use]
    pub fn not_found(id: &IdentityId) -> Self {
        let code =
            if id.module.is_some() { ErrorCode::MODULE_NOT_FOUND } else { ErrorCode::DEVICE_NOT_FOUND };
        Self::new(code, id.to_string())
    }

    /// 412: the twin isn't the one that the `ETag` stands for.
    #[must_use]
    pub fn stale_twin() -> Self {
        Self::new(ErrorCode::PRECONDITION_FAILED, "PreconditionFailed, ETag may be invalid.")
    }

    /// The code: number, name and status.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body of a REST answer.
    #[must_use]
    pub fn rest_body(&self, unix_millis: u64) -> Value {
        match self.form {
            Form::Flat => self.flat_body(unix_millis),
            Form::Nested => {
                let mut inner = self.flat_body(unix_millis);
                inner["info"] = self.info.as_deref().cloned().unwrap_or_default();
                json!({ "Message": inner.to_string(), "ExceptionMessage": "" })
            }
            Form::Classic => json!({
                "Message": format!("ErrorCode:{};{}", self.code.name(), self.message),
                "ExceptionMessage": format!("Tracking ID:{}", tracking_id(unix_millis)),
            }),
        }
    }

    /// The body of an answer over MQTT, and of the flat form over REST.
    #[must_use]
    pub fn flat_body(&self, unix_millis: u64) -> Value {
        json!({
            "errorCode": self.code.number(),
            "message": self.message,
            "trackingId": tracking_id(unix_millis),
            "timestampUtc": timestamp(unix_millis),
        })
    }
}

fn tracking_id(unix_millis: u64) -> String {
    format!("{}-G:0-TimeStamp:{}", Uuid::new_v4().simple(), american_timestamp(unix_millis))
}

impl fmt::Display for HubError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.code.number(), self.code.name(), self.message)
    }
}

impl std::error::Error for HubError {}

impl From<InvalidName> for HubError {
    fn from(error: InvalidName) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<InvalidTwin> for HubError {
    fn from(error: InvalidTwin) -> Self {
        Self::invalid(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_698_166_620_000;

    #[test]
    fn the_classic_form_is_that_of_the_service() {
        let error = HubError::not_found(&IdentityId::parse("sensor-thl-001").unwrap());
        let body = error.rest_body(NOW);
        assert_eq!(body["Message"], "ErrorCode:DeviceNotFound;sensor-thl-001");
        let tracking = body["ExceptionMessage"].as_str().unwrap();
        let (id, rest) = tracking.strip_prefix("Tracking ID:").unwrap().split_at(32);
        assert!(id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
        assert_eq!(rest, "-G:0-TimeStamp:10/24/2023 16:57:00");
    }

    #[test]
    fn the_flat_form_has_the_number_and_the_nested_form_holds_it_as_text() {
        let error =
            HubError::new(ErrorCode::DEVICE_NOT_ONLINE, "gone").with_info(json!({ "timeout": "00:00:00" }));
        let error = error.in_form(Form::Nested);
        let body = error.rest_body(NOW);
        assert_eq!(body["ExceptionMessage"], "");
        let flat: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
        assert_eq!((&flat["errorCode"], &flat["message"]), (&json!(404_103), &json!("gone")));
        assert_eq!(flat["timestampUtc"], "2023-10-24T16:57:00.0000000Z");
        assert_eq!(flat["info"]["timeout"], "00:00:00");
        assert_eq!(error.in_form(Form::Flat).rest_body(NOW).as_object().unwrap().len(), 4);
    }
}
