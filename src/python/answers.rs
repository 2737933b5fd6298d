//! What operations give, in the plain Python values that the facades turn into models.

use bytes::Bytes;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::describe;
use crate::device::{ConnectionEvent, MethodCall, ReceivedMessage};
use crate::error::Result;
use crate::service;

/// The result of an operation.
pub(super) enum Answer {
    /// Done, or nothing came in time: None.
    None,
    /// JSON: bytes.
    Json(Bytes),
    /// `(input or None, [(key, value or None)], body)`.
    Message(ReceivedMessage),
    /// `(name, request id, body)`.
    Method(MethodCall),
    /// Whether something has come: a bool.
    Arrived(bool),
    /// `(name, None or (kind, message, causes), None or seconds until the next attempt)`.
    Event(ConnectionEvent),
    /// For each None, or `(kind, message, causes)`: a list.
    Outcomes(Outcomes),
    /// `(status, reason, headers, body, address, attempts, given up, None or seconds in doubt)`.
    Service(Box<service::Response>),
}

/// What became of each of many things.
pub(super) struct Outcomes(pub(super) Vec<Result<()>>);

impl From<Outcomes> for Answer {
    fn from(outcomes: Outcomes) -> Self {
        Self::Outcomes(outcomes)
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::None
    }
}

impl From<bool> for Answer {
    fn from(arrived: bool) -> Self {
        Self::Arrived(arrived)
    }
}

impl From<Bytes> for Answer {
    fn from(json: Bytes) -> Self {
        Self::Json(json)
    }
}

impl From<ReceivedMessage> for Answer {
    fn from(message: ReceivedMessage) -> Self {
        Self::Message(message)
    }
}

impl From<MethodCall> for Answer {
    fn from(call: MethodCall) -> Self {
        Self::Method(call)
    }
}

impl From<ConnectionEvent> for Answer {
    fn from(event: ConnectionEvent) -> Self {
        Self::Event(event)
    }
}

impl From<service::Response> for Answer {
    fn from(response: service::Response) -> Self {
        Self::Service(Box::new(response))
    }
}

impl<T: Into<Answer>> From<Option<T>> for Answer {
    fn from(answer: Option<T>) -> Self {
        answer.map_or(Self::None, Into::into)
    }
}

impl<'py> IntoPyObject<'py> for Answer {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::None => Ok(py.None().into_bound(py)),
            Self::Json(json) => Ok(PyBytes::new(py, &json).into_any()),
            Self::Message(message) => {
                (message.input, message.properties, PyBytes::new(py, &message.payload)).into_bound_py_any(py)
            }
            Self::Method(call) => {
                (call.name, call.request_id, PyBytes::new(py, &call.payload)).into_bound_py_any(py)
            }
            Self::Arrived(arrived) => arrived.into_bound_py_any(py),
            Self::Event(event) => event_parts(event).into_bound_py_any(py),
            Self::Outcomes(Outcomes(outcomes)) => {
                let parts = outcomes.iter().map(|outcome| outcome.as_ref().err().map(describe));
                parts.collect::<Vec<_>>().into_bound_py_any(py)
            }
            Self::Service(response) => service_parts(py, *response),
        }
    }
}

type EventParts = (&'static str, Option<(String, String, Vec<String>)>, Option<f64>);

fn event_parts(event: ConnectionEvent) -> EventParts {
    let (name, error, retry_in) = match event {
        ConnectionEvent::Connected => ("connected", None, None),
        ConnectionEvent::Disconnected { reason, retry_in } => ("disconnected", reason, retry_in),
        ConnectionEvent::AttemptFailed { error, retry_in } => ("attempt_failed", Some(error), retry_in),
        ConnectionEvent::Failed(error) => ("failed", Some(error), None),
        ConnectionEvent::TokenExpiring => ("token_expiring", None, None),
    };
    (name, error.as_ref().map(describe), retry_in.map(|pause| pause.as_secs_f64()))
}

fn service_parts(py: Python<'_>, response: service::Response) -> PyResult<Bound<'_, PyAny>> {
    let service::Response { answer, attempts, given_up, in_doubt } = response;
    let body = PyBytes::new(py, &answer.body);
    let in_doubt = in_doubt.map(|time| time.as_secs_f64());
    let headers = answer.headers.iter();
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))).collect();
    (answer.status, answer.reason, headers, body, answer.url, attempts, given_up, in_doubt)
        .into_bound_py_any(py)
}
