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

/// `{"id": 1, "call": "wait_subscribed", "device": "d", "module": "m", "topic": "…", "timeout": 30}`.
#[derive(Deserialize)]
struct Line {
    /// Chosen by who asks.
    #[serde(default)]
    id: Value,
    #[serde(flatten)]
    request: Request,
}

#[derive(Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
enum Request {
    /// The connection string of a device or module: a text.
    ConnectionString {
        /// The device's name.
        device: String,
        /// The module's name, if it is one.
        module: Option<String>,
    },
    /// Answered when the identity is connected and subscribed to the topic filter.
    WaitSubscribed {
        /// The device's name.
        device: String,
        /// The module's name, if it is one.
        module: Option<String>,
        /// The topic filter, as subscribed to.
        topic: String,
        /// Seconds; then a `Timeout` error.
        timeout: f64,
    },
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
        let (id, answer) = match serde_json::from_str::<Line>(request) {
            Ok(Line { id, request }) => (id, self.carry_out(request).await),
            Err(error) => {
                let error = Error::new(ErrorKind::InvalidArgument, "no such request").caused_by(error);
                (Value::Null, Err(error))
            }
        };
        match answer {
            Ok(result) => json!({ "id": id, "result": result }),
            Err(error) => {
                let error = json!({ "kind": kind_name(error.kind()), "message": error.to_string() });
                json!({ "id": id, "error": error })
            }
        }
    }

    async fn carry_out(&self, request: Request) -> Result<Value> {
        match request {
            Request::ConnectionString { device, module } => {
                let id = identity(device, module)?;
                self.device_connection_string(&id).await.map(Value::String)
            }
            Request::WaitSubscribed { device, module, topic, timeout } => {
                let id = identity(device, module)?;
                let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX);
                let waiting = tokio::time::timeout(timeout, self.wait_subscribed(&id, &topic));
                waiting.await.map(|()| Value::Null).map_err(|_| {
                    let text =
                        format!("{id} did not subscribe to {topic} within {} s", timeout.as_secs_f64());
                    Error::new(ErrorKind::Timeout, text)
                })
            }
            Request::Statistics => {
                let now = self.statistics();
                Ok(json!({
                    "rest_requests": now.rest_requests,
                    "connects": now.connects,
                    "telemetry_messages": now.telemetry_messages,
                    "desired_patches_published": now.desired_patches_published,
                }))
            }
            Request::Telemetry => Ok(self.telemetry().iter().map(telemetry_json).collect()),
        }
    }
}

fn identity(device: String, module: Option<String>) -> Result<IdentityId> {
    let id = match module {
        Some(module) => IdentityId::module(device, module),
        None => IdentityId::device(device),
    };
    id.map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))
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
