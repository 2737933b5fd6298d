//! What a hub's owner may ask it beside REST: one request, one answer, both JSON.
//!
//! `LocalHub` uses it: directly in its own process, over pipes with a hub in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::HubError;
use super::dps::{ID_SCOPE, NewEnrollment};
use super::events::Event;
use super::faults::Fault;
use super::messages::NewMessage;
use super::server::Hub;
use super::uploads::FileNotification;
use super::x509::ca_certificates;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::error_code::ErrorCode;
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
    /// Of a blob or an enrollment.
    #[serde(default)]
    name: String,
    /// Of a blob, in base64.
    #[serde(default)]
    content: String,
    /// The input of a module.
    #[serde(default)]
    input: String,
    message: Option<NewMessage>,
    /// The number of the first message of interest.
    #[serde(default)]
    from: u64,
    fault: Option<Fault>,
    enrollment: Option<NewEnrollment>,
    /// Of a fault or workload API.
    number: Option<u64>,
    /// Of a socket.
    path: Option<PathBuf>,
    #[serde(default)]
    seconds: f64,
    /// Certificates in PEM.
    #[serde(default)]
    certificates: String,
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
    /// What devices sent, from a number on: `{"first": …, "next": …, "messages": […]}`, with the number where they begin and
    /// the one after them. Waits for one up to the timeout; then the list is empty.
    Events,
    /// The names of the blobs that devices have uploaded: a list of texts, in order.
    Blobs,
    /// What is in the blob of this name, in base64; null if there is none.
    Blob,
    /// Null, when a blob has this name and this content, in base64.
    PutBlob,
    /// The address of the blobs' container, with a token that is good for so many seconds.
    ContainerUri,
    /// What devices told of their uploads: a list of objects, oldest first.
    FileNotifications,
    /// Null, when a cloud-to-device message is queued.
    SendToDevice,
    /// Null, when a message to an input is queued.
    SendToInput,
    /// The number of a fault that is on now, for the identity or for all.
    OrderFault,
    /// Null, when the fault with this number is off, or all of them.
    ClearFaults,
    /// Null, when the connection of the identity, or of all, is ended.
    DropConnections,
    /// Null, when the sessions of the identity, or of all, are forgotten.
    LoseSessions,
    /// The enrollment: an object with its `id` and keys.
    Enroll,
    /// All enrollments, with the registrations by each: a list of objects.
    Enrollments,
    /// Null, when the enrollment of this name is removed.
    RemoveEnrollment,
    /// Null, when the hub's clock is moved by these seconds.
    MoveClock,
    /// Null, when certificates of these CAs stand for devices.
    AddCaCertificates,
    /// `{"number": …, "environment": {…}}`: the workload API of a module, at the path or on a port.
    OpenWorkload,
    /// Null, when the workload API with this number is closed.
    CloseWorkload,
}

impl Hub {
    /// How to reach this hub, as the ready line of `ferrohub up --json` has it.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "port": self.port(),
            "hostName": self.host_name(),
            "provisioningHost": self.address(),
            "idScope": ID_SCOPE,
            "connectionString": self.connection_string(),
            "eventHubsConnectionString": self.event_hubs_connection_string(),
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
            Call::Telemetry => {
                let messages = self.state().events.newest();
                self.on_disk().await?;
                Ok(messages.iter().map(|message| telemetry_json(message)).collect())
            }
            Call::OrderFault | Call::ClearFaults | Call::DropConnections | Call::LoseSessions => {
                self.spoil(request).await
            }
            Call::Enroll | Call::Enrollments | Call::RemoveEnrollment => {
                self.provide(request).await.map_err(|error| refused(&error))
            }
            Call::MoveClock => {
                let millis = Duration::try_from_secs_f64(request.seconds.abs())
                    .ok()
                    .and_then(|by| i64::try_from(by.as_millis()).ok())
                    .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the clock can't go there"))?;
                self.state().clock.shift(if request.seconds < 0.0 { -millis } else { millis });
                Ok(Value::Null)
            }
            Call::OpenWorkload => {
                let id = identity(request.device, request.module)?;
                self.open_workload(id, request.path.as_deref()).await
            }
            Call::CloseWorkload => {
                self.close_workload(request.number.unwrap_or_default());
                Ok(Value::Null)
            }
            Call::AddCaCertificates => {
                let certificates = ca_certificates(&request.certificates)?;
                let added = self.state().add_ca_certificates(&certificates).await;
                added.map_err(|error| refused(&error)).map(|()| Value::Null)
            }
            Call::Events => {
                let page = self.state().events.since(request.from, seconds(request.timeout)).await;
                self.on_disk().await?;
                let messages: Value = page.messages.iter().map(|message| telemetry_json(message)).collect();
                Ok(json!({ "first": page.first, "next": page.next, "messages": messages }))
            }
            Call::Blobs => Ok(self.state().uploads.blobs.names().into()),
            Call::Blob => {
                let blob = self.state().uploads.blobs.get(&request.name);
                Ok(blob.map(|blob| STANDARD.encode(&blob.content)).into())
            }
            Call::PutBlob => {
                let content = STANDARD.decode(&request.content).unwrap_or_default();
                let put = self.state().put_blob(&request.name, content);
                put.map_err(|error| refused(&error)).map(|()| Value::Null)
            }
            Call::ContainerUri => Ok(self.state().container_uri(seconds(request.seconds)).into()),
            Call::FileNotifications => {
                Ok(self.state().uploads.notifications().iter().map(notification_json).collect())
            }
            Call::SendToDevice => {
                let id = identity(request.device, None)?;
                let message = request.message.unwrap_or_default();
                self.state()
                    .send_to_device(&id, message)
                    .await
                    .map_err(|error| refused(&error))
                    .map(|()| Value::Null)
            }
            Call::SendToInput => {
                let id = identity(request.device, request.module)?;
                let message = request.message.unwrap_or_default();
                self.state()
                    .send_to_input(&id, &request.input, message)
                    .await
                    .map_err(|error| refused(&error))
                    .map(|()| Value::Null)
            }
        }
    }

    /// No answer tells of something that a crash could take back.
    async fn on_disk(&self) -> Result<()> {
        self.state().store.read(|_| ()).await.map_err(|error| refused(&error))
    }

    /// Faults and the like: they concern one identity, or all if none is named.
    async fn spoil(&self, request: Request) -> Result<Value> {
        let who =
            (!request.device.is_empty()).then(|| identity(request.device, request.module)).transpose()?;
        let hub = self.state();
        match (request.call, request.fault) {
            (Call::OrderFault, Some(fault)) => {
                return hub
                    .order_fault(fault, who.as_ref())
                    .map(Value::from)
                    .map_err(|error| refused(&error));
            }
            (Call::ClearFaults, _) => hub.faults.clear(request.number),
            (Call::DropConnections, _) => hub.drop_connections(who.as_ref()),
            (Call::LoseSessions, _) => {
                hub.lose_sessions(who.as_ref()).await.map_err(|error| refused(&error))?;
            }
            _ => return Err(Error::new(ErrorKind::InvalidArgument, "no such fault")),
        }
        Ok(Value::Null)
    }

    /// What concerns the provisioning service.
    async fn provide(&self, request: Request) -> std::result::Result<Value, HubError> {
        let (hub, name) = (self.state(), request.name);
        match (request.call, request.enrollment) {
            (Call::Enroll, Some(enrollment)) => Ok(hub.enroll(&name, enrollment).await?.describe(&[])),
            (Call::RemoveEnrollment, _) => hub.remove_enrollment(&name).await.map(|()| Value::Null),
            _ => {
                let all = hub.enrollments().await?;
                Ok(all.iter().map(|(enrollment, by)| enrollment.describe(by)).collect())
            }
        }
    }

    async fn wait_subscribed_for(&self, id: &IdentityId, topic: &str, seconds: f64) -> Result<()> {
        tokio::time::timeout(self::seconds(seconds), self.wait_subscribed(id, topic)).await.map_err(|_| {
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

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// The hub's refusal, for people: without its number and name.
fn refused(error: &HubError) -> Error {
    let status = error.code().status();
    let text = match status {
        404 if error.code() == ErrorCode::REGISTRATION_NOT_FOUND => {
            format!("the provisioning service has no enrollment {}", error.message())
        }
        404 => format!("the hub has no identity {}: create it first", error.message()),
        _ => error.message().to_owned(),
    };
    Error::new(ErrorKind::Service(status), text)
}

/// An error as programs are told it.
#[must_use]
pub fn describe_error(error: &Error) -> Value {
    json!({ "kind": kind_name(error.kind()), "message": error.to_string() })
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::Service(400 | 413) => "invalid_argument",
        ErrorKind::Service(404) => "not_found",
        ErrorKind::Timeout => "timeout",
        _ => "system",
    }
}

fn notification_json(notification: &FileNotification) -> Value {
    json!({
        "device": notification.device,
        "blobName": notification.blob_name,
        "isSuccess": notification.is_success,
        "statusCode": notification.status_code,
        "statusDescription": notification.status_description,
        "blobSize": notification.blob.map(|(size, _)| size),
        "lastUpdatedUnixMillis": notification.blob.map(|(_, modified)| modified),
        "enqueuedUnixMillis": notification.enqueued_unix_millis,
    })
}

fn telemetry_json(message: &Event) -> Value {
    json!({
        "device": message.sender.id.device,
        "module": message.sender.id.module,
        "enqueuedUnixMillis": message.enqueued_unix_millis,
        "properties": message.properties,
        "body": STANDARD.encode(&message.body),
        "duplicate": message.duplicate,
    })
}
