//! How an error of the core reaches Python: one private exception that the facades turn into public ones.
//!
//! `CoreError.args` is `(kind, message, causes)`: the kind as a word, the sentence, and the causes' sentences,
//! nearest first. Public exceptions are made in Python, where the classes that programs know live.

use pyo3::prelude::*;

use crate::error::{Error, ErrorKind};

pyo3::create_exception!(ferrohub._native, CoreError, pyo3::exceptions::PyException);

/// The exception for an error of the core.
pub(super) fn to_python(error: &Error) -> PyErr {
    CoreError::new_err(describe(error))
}

/// Kind, sentence and causes.
pub(super) fn describe(error: &Error) -> (String, String, Vec<String>) {
    (kind_name(error.kind()), error.message().to_owned(), error.causes().collect())
}

fn kind_name(kind: ErrorKind) -> String {
    let name = match kind {
        ErrorKind::InvalidArgument => "invalid_argument",
        ErrorKind::Unsendable => "unsendable",
        ErrorKind::InvalidKey => "invalid_key",
        ErrorKind::TlsOption => "tls_option",
        ErrorKind::ConnectionFailed => "connection_failed",
        ErrorKind::ConnectionDropped => "connection_dropped",
        ErrorKind::NotConnected => "not_connected",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::Protocol => "protocol",
        ErrorKind::Tls => "tls",
        ErrorKind::Proxy => "proxy",
        ErrorKind::Workload => "workload",
        ErrorKind::Timeout => "timeout",
        ErrorKind::NoAnswer => "no_answer",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::ShutDown => "shut_down",
        ErrorKind::System => "system",
        ErrorKind::Outbox => "outbox",
        ErrorKind::OutboxFull => "outbox_full",
        ErrorKind::Service(status) => return format!("service {status}"),
    };
    name.to_owned()
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("CoreError", module.py().get_type::<CoreError>())
}
