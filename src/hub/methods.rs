//! Direct methods: a back end calls, a connected device or module responds, within a time. Nothing is kept:
//! every call has one outcome, and a caller that has it is never contradicted by a later one.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods>

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::HubState;
use super::connections::MethodResponse;
use super::error::HubError;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

const LONGEST_NAME: usize = 100;
/// What no name may hold, beside blanks and everything that isn't ASCII.
const SEPARATORS: &str = "$()<>@,;:\\\"/[]?={}";
/// In bytes, either way.
const LARGEST_PAYLOAD: usize = 128 * 1024;
const DEFAULT_RESPONSE_TIMEOUT: u64 = 30;
const SHORTEST_RESPONSE_TIMEOUT: u64 = 5;
const LONGEST_TIMEOUT: u64 = 300;

/// The body of a call, as REST has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodBody {
    method_name: Option<String>,
    /// Any JSON; it reaches the device as it was written, and as `null` if it is left out.
    payload: Option<Box<RawValue>>,
    /// How long the whole call may take: 5 to 300 s, 30 by default.
    response_timeout_in_seconds: Option<u64>,
    /// How long to wait for a device that isn't connected: 0 to 300 s, 0 by default.
    connect_timeout_in_seconds: Option<u64>,
}

/// What the device responded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodResult {
    /// Any number of the device's choice.
    pub status: i64,
    /// Any JSON; null if it sent none.
    pub payload: Value,
}

/// A call that keeps the rules.
#[derive(Clone)]
pub(super) struct Call {
    name: String,
    payload: Bytes,
    connect: Duration,
    response: Duration,
}

impl HubState {
    /// Call a direct method and wait for the response.
    ///
    /// # Errors
    /// 400 if the body breaks a rule, 413 for a payload above 128 KiB; 404 if the device or module does not
    /// exist (404001, 404010), isn't connected and subscribed to the method within the connect timeout, or
    /// disconnects before it responds (404103); 504 if it doesn't respond in time; 502 if its response is
    /// no JSON or too large.
    pub async fn invoke_method(&self, id: &IdentityId, body: MethodBody) -> Result<MethodResult, HubError> {
        self.call(id, &body.check()?).await
    }

    /// The same with a call that was checked.
    pub(super) async fn call(&self, id: &IdentityId, call: &Call) -> Result<MethodResult, HubError> {
        self.twin(id).await?;
        let deadline = Instant::now() + call.response;
        let sending = self.connections.call_method(id, &call.name, &call.payload);
        let response = timeout(call.connect, sending).await.map_err(|_| not_online(call.connect))?;
        match timeout_at(deadline, response).await {
            Ok(Ok(response)) => response.into_result(),
            Ok(Err(_)) => Err(HubError::new(ErrorCode::DEVICE_NOT_ONLINE, "Device unavailable")),
            Err(_) => {
                let message = "Timed out waiting for the response from device.";
                Err(HubError::new(ErrorCode::GATEWAY_TIMEOUT, message).with_info(json!({})))
            }
        }
    }
}

impl MethodBody {
    /// A call with these times in seconds, if others are wanted than usual.
    #[must_use]
    pub fn new(
        method_name: String,
        payload: Option<Box<RawValue>>,
        response_timeout: Option<u64>,
        connect_timeout: Option<u64>,
    ) -> Self {
        Self {
            method_name: Some(method_name),
            payload,
            response_timeout_in_seconds: response_timeout,
            connect_timeout_in_seconds: connect_timeout,
        }
    }

    /// The call, if it keeps the rules.
    pub(super) fn check(&self) -> Result<Call, HubError> {
        let name = self.method_name.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| HubError::invalid("methodName is null or empty."))?;
        check_name(name)?;
        let response = self.response_timeout_in_seconds.unwrap_or(DEFAULT_RESPONSE_TIMEOUT);
        let connect = self.connect_timeout_in_seconds.unwrap_or_default();
        check_range("responseTimeoutInSeconds", response, SHORTEST_RESPONSE_TIMEOUT)?;
        check_range("connectTimeoutInSeconds", connect, 0)?;
        if connect > response {
            let message = format!(
                "Device connection timeout ({connect} s) cannot be longer than an overall call timeout ({response} s)."
            );
            return Err(HubError::invalid(message));
        }
        let payload = self.payload.as_ref().map_or("null", |payload| payload.get());
        if payload.len() > LARGEST_PAYLOAD {
            let message = format!("The payload has {} bytes, of which 131072 are allowed.", payload.len());
            return Err(HubError::new(ErrorCode::MESSAGE_TOO_LARGE, message));
        }
        Ok(Call {
            name: name.to_owned(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            connect: Duration::from_secs(connect),
            response: Duration::from_secs(response),
        })
    }

    /// As a job shows it: IoT Hub tells the payload as the bytes of its JSON.
    pub(super) fn echo(&self) -> Value {
        json!({
            "methodName": self.method_name,
            "payload": self.payload.as_ref().map(|payload| payload.get().as_bytes()),
            "responseTimeoutInSeconds": self.response_timeout_in_seconds,
            "connectTimeoutInSeconds": self.connect_timeout_in_seconds,
        })
    }
}

impl MethodResponse {
    fn into_result(self) -> Result<MethodResult, HubError> {
        let refuse = |why: &str| {
            let message = format!("The device's response has a payload that {why}.");
            HubError::new(ErrorCode::BAD_GATEWAY, message)
        };
        if self.payload.len() > LARGEST_PAYLOAD {
            return Err(refuse("is larger than 131072 bytes"));
        }
        let payload = if self.payload.trim_ascii().is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&self.payload).map_err(|_| refuse("is not JSON"))?
        };
        Ok(MethodResult { status: self.status, payload })
    }
}

fn check_name(name: &str) -> Result<(), HubError> {
    let allowed = |c: char| c.is_ascii_graphic() && !SEPARATORS.contains(c);
    if name.len() <= LONGEST_NAME && name.chars().all(allowed) {
        return Ok(());
    }
    let message = format!(
        "methodName is '{name}', and has to be 1 to {LONGEST_NAME} printable ASCII characters without blanks and {SEPARATORS}"
    );
    Err(HubError::invalid(message))
}

fn check_range(name: &str, seconds: u64, shortest: u64) -> Result<(), HubError> {
    if (shortest..=LONGEST_TIMEOUT).contains(&seconds) {
        return Ok(());
    }
    let message = format!("{name} is {seconds}, and has to be {shortest} to {LONGEST_TIMEOUT}.");
    Err(HubError::invalid(message))
}

fn not_online(waited: Duration) -> HubError {
    let message = "The operation failed because the requested device isn't online or hasn't registered the direct method callback. To learn more, see https://aka.ms/iothub404103";
    let seconds = waited.as_secs();
    let waited = format!("00:{:02}:{:02}", seconds / 60, seconds % 60);
    HubError::new(ErrorCode::DEVICE_NOT_ONLINE, message).with_info(json!({ "timeout": waited }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::HubSettings;
    use crate::hub::connections::Delivery;
    use crate::hub::error::Form;
    use crate::hub::registry::IdentityBody;
    use crate::protocol::topics::METHODS;

    fn check(body: &Value) -> Result<Call, HubError> {
        serde_json::from_str::<MethodBody>(&body.to_string()).unwrap().check()
    }

    #[test]
    fn a_call_has_the_documented_defaults() {
        let call = check(&json!({ "methodName": "part*get_1" })).unwrap();
        assert_eq!((call.name.as_str(), &call.payload[..]), ("part*get_1", &b"null"[..]));
        assert_eq!((call.connect, call.response), (Duration::ZERO, Duration::from_secs(30)));
    }

    #[test]
    fn a_body_that_breaks_a_rule_is_refused() {
        for (body, text) in [
            (json!({}), "methodName is null or empty."),
            (json!({ "methodName": "" }), "methodName is null or empty."),
            (json!({ "methodName": "a b" }), "printable ASCII"),
            (json!({ "methodName": "é" }), "printable ASCII"),
            (json!({ "methodName": "a/b" }), "printable ASCII"),
            (json!({ "methodName": "x".repeat(101) }), "1 to 100"),
            (json!({ "methodName": "m", "responseTimeoutInSeconds": 4 }), "has to be 5 to 300"),
            (json!({ "methodName": "m", "responseTimeoutInSeconds": 301 }), "has to be 5 to 300"),
            (json!({ "methodName": "m", "connectTimeoutInSeconds": 301 }), "has to be 0 to 300"),
            (json!({ "methodName": "m", "connectTimeoutInSeconds": 31 }), "cannot be longer than an overall"),
        ] {
            let Err(error) = check(&body) else { panic!("{body} was taken") };
            assert_eq!(error.code(), ErrorCode::ARGUMENT_INVALID);
            assert!(error.message().contains(text), "{error}");
        }
        let Err(error) = check(&json!({ "methodName": "m", "payload": "x".repeat(LARGEST_PAYLOAD) })) else {
            panic!("it was taken")
        };
        assert_eq!(error.code(), ErrorCode::MESSAGE_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_does_not_respond_in_time_is_a_timeout_and_takes_part_in_no_other_call() {
        let hub = HubState::open(&HubSettings::default()).unwrap();
        let id = Arc::new(IdentityId::device("d").unwrap());
        hub.put_identity(&id, IdentityBody::default(), None).await.unwrap();
        let mut connection = hub.connections.open(&id);
        connection.set_filters([METHODS.to_owned()].iter());
        let body = r#"{"methodName": "m", "responseTimeoutInSeconds": 7}"#;
        let begin = Instant::now();
        let error = hub.invoke_method(&id, serde_json::from_str(body).unwrap()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::GATEWAY_TIMEOUT);
        assert_eq!(begin.elapsed().as_secs(), 7);
        let Ok(Delivery::Call(call)) = connection.deliveries.try_recv() else { panic!("no call") };
        assert!(call.caller.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_does_not_connect_in_time_is_not_online() {
        let hub = HubState::open(&HubSettings::default()).unwrap();
        let id = IdentityId::device("d").unwrap();
        hub.put_identity(&id, IdentityBody::default(), None).await.unwrap();
        let body = r#"{"methodName": "m", "responseTimeoutInSeconds": 90, "connectTimeoutInSeconds": 75}"#;
        let begin = Instant::now();
        let error = hub.invoke_method(&id, serde_json::from_str(body).unwrap()).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::DEVICE_NOT_ONLINE);
        assert_eq!(begin.elapsed().as_secs(), 75);
        let nested = error.in_form(Form::Nested).rest_body(0);
        assert!(nested["Message"].as_str().unwrap().contains(r#""info":{"timeout":"00:01:15"}"#));
    }

    #[test]
    fn a_response_is_any_json_or_nothing() {
        let result = |payload: &'static str| {
            MethodResponse { status: -1, payload: Bytes::from(payload) }.into_result()
        };
        assert_eq!(result(""), Ok(MethodResult { status: -1, payload: Value::Null }));
        assert_eq!(result("[1.0]").unwrap().payload.to_string(), "[1.0]");
        assert_eq!(result("{").unwrap_err().code(), ErrorCode::BAD_GATEWAY);
    }
}
