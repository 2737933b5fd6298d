//! What a hub's owner may ask it beside REST: one request, one answer, both JSON.
//!
//! `LocalHub` uses it: directly in its own process, over pipes with a hub in a process of its own.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::Hub;
use super::telemetry::TelemetryMessage;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::identity::IdentityId;

/// `{"id": 1, "call": "wait_subscribed", "device": "d", "module": "m", "topic": "…", "timeout": 30}`; the
/// answer carries the `id`.
#[derive(Deserialize)]
struct Request {
    call: Call,
    #[serde(default)]
    device: String,
    module: Option<String>,
    /// A topic filter, as subscribed to.
    #[serde(default)]
    topic: String,
    /// Seconds.
    #[serde(default)]
    timeout: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Call {
    /// The connection string of a device or module: a text.
    ConnectionString,
    /// Null, when the identity is connected and subscribed to the topic; an error after the timeout.
    WaitSubscribed,
    /// Counters: an object of numbers.
    Statistics,
    /// What devices sent: a list of objects, oldest first.
    Telemetry,
}

impl Hub {
    /// How to reach this hub, as the ready line of `ferrohub up --json` has it.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "port": self.port(),
            "hostName": self.host_name(),
            "connectionString": self.connection_string(),
            "caFile": self.ca_pem_path(),
            "notes": self.notes(),
        })
    }

    /// Answer a request: `{"result": …}`, or `{"error": {"kind": …, "message": …}}` with one of the kinds
    /// `invalid_argument`, `not_found`, `timeout` and `system`; with the `id` that the request has.
    pub async fn answer(&self, request: &str) -> Value {
        let request: Value = serde_json::from_str(request).unwrap_or_default();
        let id = request["id"].clone();
        let answer = match Request::deserialize(request) {
            Ok(request) => self.carry_out(request).await,
            Err(error) => Err(Error::new(ErrorKind::InvalidArgument, "no such request").caused_by(error)),
        };
        match answer {
            Ok(result) => json!({ "id": id, "result": result }),
            Err(error) => json!({ "id": id, "error": describe_error(&error) }),
        }
    }

    async fn carry_out(&self, request: Request) -> Result<Value> {
        match request.call {
            Call::ConnectionString => {
                let id = identity(request.device, request.module)?;
                self.device_connection_string(&id).await.map(Value::String)
            }
            Call::WaitSubscribed => {
                let id = identity(request.device, request.module)?;
                self.wait_subscribed_for(&id, &request.topic, request.timeout).await.map(|()| Value::Null)
            }
            Call::Statistics => {
                let now = self.statistics();
                Ok(json!({
                    "rest_requests": now.rest_requests,
                    "connects": now.connects,
                    "telemetry_messages": now.telemetry_messages,
                    "desired_patches_published": now.desired_patches_published,
                }))
            }
            Call::Telemetry => Ok(self.telemetry().iter().map(telemetry_json).collect()),
        }
    }

    async fn wait_subscribed_for(&self, id: &IdentityId, topic: &str, seconds: f64) -> Result<()> {
        let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        tokio::time::timeout(timeout, self.wait_subscribed(id, topic)).await.map_err(|_| {
            let text = format!("{id} did not subscribe to {topic} within {seconds} s");
            Error::new(ErrorKind::Timeout, text)
        })
    }
}

fn identity(device: String, module: Option<String>) -> Result<IdentityId> {
    let id = match module {
        Some(module) => IdentityId::module(device, module),
        None => IdentityId::device(device),
    };
    id.map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))
}

/// An error as programs are told it.
#[must_use]
pub fn describe_error(error: &Error) -> Value {
    json!({ "kind": kind_name(error.kind()), "message": error.to_string() })
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "invalid_argument",
        ErrorKind::Service(404) => "not_found",
        ErrorKind::Timeout => "timeout",
        _ => "system",
    }
}

fn telemetry_json(message: &TelemetryMessage) -> Value {
    json!({
        "device": message.sender.device,
        "module": message.sender.module,
        "enqueuedUnixMillis": message.enqueued_unix_millis,
        "properties": message.properties,
        "body": STANDARD.encode(&message.body),
    })
}
