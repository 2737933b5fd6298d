//! `MessageSender`: messages to devices, made of Python's values as the official package makes them.

use std::sync::Arc;

use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Batch, Body, Data, Message, MessageId};
use fe2o3_amqp::types::primitives::{Binary, OrderedMap, SimpleValue, Symbol, Timestamp, Uuid, Value};
use futures_util::FutureExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::answers::{Answer, Outcomes};
use super::errors::to_python;
use super::operation::Operation;
use super::roots::default_roots;
use super::runtime::{self, Threads};
use super::service::{credentials, seconds};
use crate::clock::Clock;
use crate::error::Result;
use crate::service::amqp::{self, BearerToken, Endpoint, OutgoingMessage};

/// A device, what is sent to it, and the properties under the names of the official package.
type Outgoing<'py> = (String, Bound<'py, PyAny>, Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>);

/// What sends messages to the devices of one hub; see `crate::service::amqp::MessageSender`.
#[pyclass(frozen, module = "ferrohub._native")]
struct MessageSender {
    sender: Arc<amqp::MessageSender>,
    threads: Threads,
}

#[pymethods]
impl MessageSender {
    /// With `blocking`, whoever waits for its operations runs them: a message is not handed to another thread and back.
    #[new]
    #[pyo3(signature = (host_name, websocket, policy, key, blocking))]
    fn new(
        py: Python<'_>,
        host_name: String,
        websocket: bool,
        policy: Option<String>,
        key: Option<&str>,
        blocking: bool,
    ) -> PyResult<Self> {
        let credentials = credentials(policy, key)?;
        let hub = Endpoint::hub(host_name, websocket, credentials, default_roots(py), Clock::system());
        let sender = Arc::new(amqp::MessageSender::new(hub));
        let threads = if blocking { Threads::Callers } else { Threads::Worker };
        Ok(Self { sender, threads })
    }

    /// Send a message and wait until the hub has accepted it; `limit` is in seconds.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn send(&self, message: Outgoing<'_>, token: Option<(String, u64)>, limit: f64) -> PyResult<Operation> {
        let (message, token, limit) = (outgoing(&message)?, token.map(bearer), seconds(limit)?);
        let sender = Arc::clone(&self.sender);
        self.operation(async move { sender.send(message, token, limit).await })
    }

    /// Send messages without waiting between them; a list with None or an error's parts for each.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn send_all(
        &self,
        messages: Vec<Outgoing<'_>>,
        token: Option<(String, u64)>,
        limit: f64,
    ) -> PyResult<Operation> {
        let messages = messages.iter().map(outgoing).collect::<PyResult<Vec<_>>>()?;
        let (token, limit, sender) = (token.map(bearer), seconds(limit)?, Arc::clone(&self.sender));
        self.operation(async move { Ok(Outcomes(sender.send_all(messages, token, limit).await)) })
    }

    /// End the connection; a message afterwards opens a new one.
    fn close(&self) -> Operation {
        let sender = Arc::clone(&self.sender);
        let closing = async move {
            sender.close().await;
            Ok(())
        };
        Operation::new(runtime::process(), closing).on(self.threads)
    }
}

impl MessageSender {
    fn operation<T: Into<Answer> + 'static>(
        &self,
        sending: impl Future<Output = Result<T>> + Send + 'static,
    ) -> PyResult<Operation> {
        // After a fork the child's connection is its own: an operation may begin in any process.
        let process = runtime::process();
        if self.threads == Threads::Worker {
            return Ok(Operation::new(process, sending));
        }
        runtime::attended().map_err(|error| to_python(&error))?;
        // The connection may have ended while nobody looked.
        let sending = runtime::settled().then(|()| sending);
        Ok(Operation::new(process, sending).on(self.threads))
    }
}

impl Drop for MessageSender {
    fn drop(&mut self) {
        if self.threads == Threads::Callers {
            let sender = Arc::clone(&self.sender);
            runtime::leave_to_stand_in(async move { sender.close().await });
        }
    }
}

pub(super) fn bearer((text, expires): (String, u64)) -> BearerToken {
    BearerToken { text, expires }
}

fn outgoing((device, body, properties): &Outgoing<'_>) -> PyResult<OutgoingMessage> {
    let mut system = amqp::properties_to(device);
    let mut application = OrderedMap::new();
    for (key, value) in properties {
        let name =
            text(key).ok_or_else(|| PyTypeError::new_err("names of properties must be str or bytes"))?;
        match name.as_str() {
            "contentType" => system.content_type = symbol(value, "content_type")?,
            "contentEncoding" => system.content_encoding = symbol(value, "content_encoding")?,
            "correlationId" => system.correlation_id = id(value, "correlationId")?,
            "messageId" => system.message_id = id(value, "messageId")?,
            "expiryTimeUtc" => {
                let wrong = |_| PyTypeError::new_err("absolute_expiry_time must be an integer.");
                let milliseconds =
                    value.cast::<PyInt>().map_err(|error| wrong(error.into()))?.extract().map_err(wrong)?;
                system.absolute_expiry_time = Some(Timestamp::from_milliseconds(milliseconds));
            }
            _ => {
                let value = simple(value, &name)?;
                application.insert(name, value);
            }
        }
    }
    Ok(Message {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: Some(system),
        application_properties: (!application.is_empty()).then_some(ApplicationProperties(application)),
        body: content(body)?,
        footer: None,
    })
}

/// Text and bytes are data, a list of them several sections; anything else is a value.
fn content(body: &Bound<'_, PyAny>) -> PyResult<Body<Value>> {
    if let Some(bytes) = bytes(body) {
        return Ok(Body::Data(Batch::new(vec![Data(Binary::from(bytes))])));
    }
    if let Ok(list) = body.cast::<PyList>() {
        let sections: Option<Vec<_>> =
            list.iter().map(|item| bytes(&item).map(|bytes| Data(Binary::from(bytes)))).collect();
        if let Some(sections) = sections.filter(|sections| !sections.is_empty()) {
            return Ok(Body::Data(Batch::new(sections)));
        }
    }
    Ok(Body::Value(AmqpValue(value(body)?)))
}

fn symbol(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Symbol>> {
    if value.is_none() {
        return Ok(None);
    }
    let text = text(value).ok_or_else(|| PyTypeError::new_err(format!("{name} must be bytes or str.")))?;
    Ok(Some(Symbol::from(text)))
}

/// An id by its type. AMQP has no signed ones.
fn id(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<MessageId>> {
    if value.is_none() {
        return Ok(None);
    }
    if let Some(text) = text(value) {
        return Ok(Some(MessageId::String(text)));
    }
    if let Ok(number) = value.extract::<u64>()
        && !value.is_instance_of::<PyBool>()
    {
        return Ok(Some(MessageId::Ulong(number)));
    }
    match uuid(value) {
        Some(uuid) => Ok(Some(MessageId::Uuid(uuid))),
        None => Err(PyTypeError::new_err(format!(
            "{name} must be str, bytes, uuid.UUID or an int that is not negative, not {}",
            kind(value)
        ))),
    }
}

/// An application property: AMQP 1.0 (3.2.5) allows simple values only.
fn simple(value: &Bound<'_, PyAny>, name: &str) -> PyResult<SimpleValue> {
    if value.is_none() {
        return Ok(SimpleValue::Null);
    }
    if let Some(text) = text(value) {
        return Ok(SimpleValue::String(text));
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(SimpleValue::Bool(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        let small = || value.extract().map(SimpleValue::Int);
        let large = || value.extract().map(SimpleValue::Long);
        return small()
            .or_else(|_| large())
            .map_err(|_| PyTypeError::new_err(format!("{name} is too large an int")));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(SimpleValue::Double(value.extract::<f64>()?.into()));
    }
    uuid(value).map(SimpleValue::Uuid).ok_or_else(|| {
        PyTypeError::new_err(format!(
            "the property {name} must be str, bytes, bool, int, float, uuid.UUID or None, not {}",
            kind(value)
        ))
    })
}

/// A body that is a value.
fn value(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(list) = object.cast::<PyList>() {
        return list.iter().map(|item| value(&item)).collect::<PyResult<_>>().map(Value::List);
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return tuple.iter().map(|item| value(&item)).collect::<PyResult<_>>().map(Value::List);
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let pairs = dict.iter().map(|(key, item)| Ok((value(&key)?, value(&item)?)));
        return pairs.collect::<PyResult<_>>().map(Value::Map);
    }
    Ok(match simple(object, "message")? {
        SimpleValue::Bool(truth) => Value::Bool(truth),
        SimpleValue::Int(number) => Value::Int(number),
        SimpleValue::Long(number) => Value::Long(number),
        SimpleValue::Double(number) => Value::Double(number),
        SimpleValue::String(text) => Value::String(text),
        SimpleValue::Uuid(uuid) => Value::Uuid(uuid),
        _ => Value::Null,
    })
}

/// What is text, or UTF-8.
fn text(value: &Bound<'_, PyAny>) -> Option<String> {
    bytes(value).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn bytes(value: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    if value.is_instance_of::<PyString>() {
        return value.extract::<String>().ok().map(String::into_bytes);
    }
    let is_bytes = value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>();
    is_bytes.then(|| value.extract().ok()).flatten()
}

fn uuid(value: &Bound<'_, PyAny>) -> Option<Uuid> {
    (kind(value) == "UUID")
        .then(|| value.getattr("bytes").ok()?.extract::<[u8; 16]>().ok().map(Uuid::from))?
}

fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "this".to_owned(), |name| name.to_string())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MessageSender>()
}
