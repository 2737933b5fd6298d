//! `EventReader` and `Event`: what devices sent, for back ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::errors;
use super::messages::bearer;
use super::operation::Operation;
use super::roots::default_roots;
use super::runtime;
use super::service::{credentials, seconds};
use crate::clock::Clock;
use crate::service::amqp::Endpoint;
use crate::service::amqp::events::{self, EventOptions, EventSource, Place, Start};

/// A partition (None: all), and a place in it: `offset`, `sequence`, `time` (milliseconds since 1970) or `latest`, and its
/// value as text.
type PlaceParts = (Option<String>, String, String);

/// Partitions (None: all), consumer group, prefetch, and where to begin.
type OptionParts = (Option<Vec<String>>, String, u32, Vec<PlaceParts>);

/// What reads a hub's events; see `crate::service::amqp::events::EventReader`.
#[pyclass(frozen, module = "ferrohub._native")]
struct EventReader {
    reader: Arc<events::EventReader>,
    process: u32,
}

#[pymethods]
impl EventReader {
    /// Of a hub.
    #[new]
    #[pyo3(signature = (host_name, websocket, policy, key, options))]
    fn new(
        py: Python<'_>,
        host_name: String,
        websocket: bool,
        policy: Option<String>,
        key: Option<&str>,
        options: OptionParts,
    ) -> PyResult<Self> {
        let (credentials, roots) = (credentials(policy, key)?, default_roots(py));
        let hub = Endpoint::hub(host_name, websocket, credentials, roots, Clock::system());
        Self::of(EventSource::Hub(hub), options)
    }

    /// Of an endpoint of Event Hubs.
    #[staticmethod]
    fn of_event_hub(
        py: Python<'_>,
        connection_string: &str,
        websocket: bool,
        options: OptionParts,
    ) -> PyResult<Self> {
        let (roots, clock) = (default_roots(py), Clock::system());
        let source = EventSource::from_connection_string(connection_string, websocket, roots, clock);
        Self::of(source.map_err(|error| errors::to_python(&error))?, options)
    }

    /// Wait until there is an event; False if `limit`, in seconds, is over before.
    #[pyo3(signature = (token, limit))]
    fn wait(&self, token: Option<(String, u64)>, limit: Option<f64>) -> PyResult<Operation> {
        let (token, limit) = (token.map(bearer), limit.map(seconds).transpose()?);
        let reader = Arc::clone(&self.reader);
        let waiting = async move { reader.wait(token.as_ref(), limit).await };
        Ok(Operation::new(self.process, waiting))
    }

    /// The next event that has arrived, or None.
    fn next(&self) -> Option<Event> {
        self.reader.next().map(Event)
    }

    /// Behind what each partition goes on: `[(partition, kind, value)]`.
    fn position(&self) -> Vec<(String, &'static str, String)> {
        let part = |(partition, place): (Arc<str>, Place)| {
            let (kind, value) = match place {
                Place::Latest => ("latest", String::new()),
                Place::Offset(offset) => ("offset", offset),
                Place::Sequence(number) => ("sequence", number.to_string()),
                Place::Time(unix_millis) => ("time", unix_millis.to_string()),
            };
            (partition.to_string(), kind, value)
        };
        self.reader.position().into_iter().map(part).collect()
    }

    /// End the connection; who waits gets the error `shut_down`.
    fn close(&self) -> Operation {
        let reader = Arc::clone(&self.reader);
        Operation::new(self.process, async move {
            reader.close().await;
            Ok(())
        })
    }
}

impl EventReader {
    fn of(
        source: EventSource,
        (partitions, consumer_group, prefetch, places): OptionParts,
    ) -> PyResult<Self> {
        let mut start = Start::At(BTreeMap::new());
        for (partition, kind, value) in places {
            let place = place(&kind, value)?;
            match (partition, &mut start) {
                (Some(partition), Start::At(places)) => drop(places.insert(partition, place)),
                (_, start) => *start = Start::Everywhere(place),
            }
        }
        let options = EventOptions { start, partitions, consumer_group, prefetch };
        let reader = Arc::new(events::EventReader::new(source, options));
        Ok(Self { reader, process: runtime::process() })
    }
}

fn place(kind: &str, value: String) -> PyResult<Place> {
    let number =
        |value: &str| value.parse().map_err(|_| PyValueError::new_err(format!("{value} is no number")));
    match kind {
        "latest" => Ok(Place::Latest),
        "offset" => Ok(Place::Offset(value)),
        "sequence" => number(&value).map(Place::Sequence),
        "time" => number(&value).map(Place::Time),
        _ => Err(PyValueError::new_err(format!("{kind} is no place"))),
    }
}

/// What a device or module sent, and what the hub says of it. It can't be changed.
///
/// What the hub or the sender did not give is None.
/// <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct>
#[pyclass(frozen, module = "ferrohub.service.events")]
struct Event(events::Event);

#[pymethods]
impl Event {
    /// What was sent.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.body())
    }

    /// The body read as JSON. Raises `ValueError` if it is none.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.body(py),))
    }

    /// The properties that the sender gave it; the dict is made anew each time.
    #[getter]
    fn properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let properties = PyDict::new(py);
        for (name, value) in self.0.properties() {
            properties.set_item(name, simple(py, value)?)?;
        }
        Ok(properties)
    }

    /// All others, under the names that they have on the wire: `iothub-connection-device-id`, `x-opt-offset`, …
    ///
    /// Those of every AMQP message, such as `message_id` and `user_id`, are there too.
    #[getter]
    fn system_properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let properties = PyDict::new(py);
        for (name, value) in self.0.annotations() {
            properties.set_item(name, object(py, value)?)?;
        }
        for (name, value) in self.0.named_properties() {
            properties.set_item(name, object(py, &value)?)?;
        }
        Ok(properties)
    }

    /// The partition that it was read from.
    #[getter]
    fn partition(&self) -> &str {
        self.0.partition()
    }

    /// Its place in the partition.
    #[getter]
    fn offset(&self) -> Option<&str> {
        self.0.text("x-opt-offset")
    }

    /// Its number in the partition, one more than that of the event before.
    #[getter]
    fn sequence_number(&self) -> Option<i64> {
        self.0.number("x-opt-sequence-number")
    }

    /// When the hub took it, in UTC.
    #[getter]
    fn enqueued_time(&self) -> Option<SystemTime> {
        self.0.enqueued_unix_millis().map(moment)
    }

    /// The device that sent it, or that it is about.
    #[getter]
    fn device_id(&self) -> Option<&str> {
        self.0.device_id()
    }

    /// The module of the device.
    #[getter]
    fn module_id(&self) -> Option<&str> {
        self.0.module_id()
    }

    /// How the sender showed who it is, as JSON.
    #[getter]
    fn auth_method(&self) -> Option<&str> {
        self.0.text("iothub-connection-auth-method")
    }

    /// The generation of the sender's identity: one that is made anew under its name has another.
    #[getter]
    fn auth_generation_id(&self) -> Option<&str> {
        self.0.text("iothub-connection-auth-generation-id")
    }

    /// What it is: `Telemetry`, `twinChangeEvents`, `deviceLifecycleEvents`, …
    #[getter]
    fn message_source(&self) -> Option<&str> {
        self.0.source()
    }

    /// The IoT Plug and Play model of the device.
    #[getter]
    fn dataschema(&self) -> Option<&str> {
        self.0.text("dt-dataschema")
    }

    /// The component of the model that it is from.
    #[getter]
    fn subject(&self) -> Option<&str> {
        self.0.text("dt-subject")
    }

    /// The sender's id of it.
    #[getter]
    fn message_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.message_id().map(|value| object(py, &value)).transpose()
    }

    /// The id of what it is about.
    #[getter]
    fn correlation_id<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.correlation_id().map(|value| object(py, &value)).transpose()
    }

    /// What the body is, `application/json` for instance.
    #[getter]
    fn content_type(&self) -> Option<&str> {
        self.0.content_type()
    }

    /// How its text is encoded, `utf-8` for instance.
    #[getter]
    fn content_encoding(&self) -> Option<&str> {
        self.0.content_encoding()
    }

    fn __repr__(&self) -> String {
        let who =
            [self.0.device_id(), self.0.module_id()].into_iter().flatten().collect::<Vec<_>>().join("/");
        let number = self.sequence_number().unwrap_or_default();
        let (partition, size) = (self.0.partition(), self.0.body().len());
        format!("<Event {number} of partition {partition}: {size} bytes of {who}>")
    }
}

fn moment(unix_millis: i64) -> SystemTime {
    let distance = Duration::from_millis(unix_millis.unsigned_abs());
    if unix_millis < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn uuid<'py>(py: Python<'py>, bytes: &[u8; 16]) -> PyResult<Bound<'py, PyAny>> {
    let arguments = PyDict::new(py);
    arguments.set_item("bytes", PyBytes::new(py, bytes))?;
    py.import("uuid")?.call_method("UUID", (), Some(&arguments))
}

fn simple<'py>(py: Python<'py>, value: &SimpleValue) -> PyResult<Bound<'py, PyAny>> {
    match value {
        SimpleValue::String(text) => text.into_bound_py_any(py),
        value => object(py, &Value::from(value.clone())),
    }
}

/// A value of AMQP. Those that Python has no type for are None.
fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Bool(truth) => truth.into_bound_py_any(py),
        Value::Ubyte(number) => number.into_bound_py_any(py),
        Value::Ushort(number) => number.into_bound_py_any(py),
        Value::Uint(number) => number.into_bound_py_any(py),
        Value::Ulong(number) => number.into_bound_py_any(py),
        Value::Byte(number) => number.into_bound_py_any(py),
        Value::Short(number) => number.into_bound_py_any(py),
        Value::Int(number) => number.into_bound_py_any(py),
        Value::Long(number) => number.into_bound_py_any(py),
        Value::Float(number) => f32::from(*number).into_bound_py_any(py),
        Value::Double(number) => f64::from(*number).into_bound_py_any(py),
        Value::Char(character) => character.into_bound_py_any(py),
        Value::String(text) => text.into_bound_py_any(py),
        Value::Symbol(symbol) => symbol.as_str().into_bound_py_any(py),
        Value::Binary(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Value::Timestamp(time) => moment(time.milliseconds()).into_bound_py_any(py),
        Value::Uuid(id) => uuid(py, id.as_inner()),
        Value::List(items) => list(py, items),
        Value::Array(items) => list(py, items.as_slice()),
        Value::Map(entries) => {
            let map = PyDict::new(py);
            for (key, value) in entries {
                map.set_item(object(py, key)?, object(py, value)?)?;
            }
            Ok(map.into_any())
        }
        Value::Described(described) => object(py, &described.value),
        _ => Ok(py.None().into_bound(py)),
    }
}

fn list<'py>(py: Python<'py>, items: &[Value]) -> PyResult<Bound<'py, PyAny>> {
    let items = items.iter().map(|item| object(py, item)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, items).map(Bound::into_any)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EventReader>()?;
    module.add_class::<Event>()
}
