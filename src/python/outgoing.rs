//! `MessageWriter`: a program's message as it goes on the wire.
//!
//! Ordinary messages, which are nearly all, are written here; what is unusual, and all that can't be sent, is left to
//! Python (`ferrohub.device.base`), which coerces as programs are used to and knows what to say.

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};

use crate::protocol::properties;

/// What Python's objects take beside their text, at most, in bytes.
const OBJECT: usize = 96;
/// Bytes of a character in Python's memory, at most.
const CHARACTER: usize = 4;

/// Encoded properties, and the payload.
pub(super) type Written = (String, Bytes);

/// How messages of one class are written.
#[pyclass(frozen, module = "ferrohub._native")]
pub(super) struct MessageWriter {
    class: Py<PyType>,
    /// The name on the wire and the attribute of each system property, in their order.
    system_properties: Vec<(String, Py<PyString>)>,
    /// Of a message in Python's memory, in bytes.
    largest: usize,
}

#[pymethods]
impl MessageWriter {
    #[new]
    fn new(class: Py<PyType>, system_properties: Vec<(String, Py<PyString>)>, largest: usize) -> Self {
        Self { class, system_properties, largest }
    }
}

impl MessageWriter {
    /// Write a message; `unusual(message)` gives the properties and payload of one that is not ordinary.
    pub(super) fn write(&self, message: &Bound<'_, PyAny>, unusual: &Bound<'_, PyAny>) -> PyResult<Written> {
        if let Some(written) = self.ordinary(message) {
            return Ok(written);
        }
        let (pairs, payload): (Vec<(String, String)>, Bound<'_, PyBytes>) =
            unusual.call1((message,))?.extract()?;
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        Ok((properties::encode(pairs), Bytes::copy_from_slice(payload.as_bytes())))
    }

    fn ordinary(&self, message: &Bound<'_, PyAny>) -> Option<Written> {
        let py = message.py();
        let attributes = message.getattr(intern!(py, "__dict__")).ok()?;
        let attributes = attributes.cast::<PyDict>().ok()?;
        let beside = [
            intern!(py, "data"),
            intern!(py, "custom_properties"),
            intern!(py, "input_name"),
            intern!(py, "ack"),
        ];
        if !message.get_type().is(&self.class)
            || attributes.len() != self.system_properties.len() + beside.len()
        {
            return None;
        }
        let [data, custom, input, ack] = beside.map(|name| attributes.get_item(name).ok().flatten());
        let (payload, mut size) = payload(&data?)?;
        for unsent in [input?, ack?] {
            size += size_of(&text_or_none(&unsent)?);
        }
        let mut pairs = Vec::new();
        for (key, attribute) in &self.system_properties {
            let value = text_or_none(&attributes.get_item(attribute).ok()??)?;
            if !value.is_empty() {
                pairs.push((key.clone(), value));
            }
        }
        let system = pairs.len();
        for (key, value) in custom?.cast_exact::<PyDict>().ok()? {
            pairs.push((text(&key)?, text(&value)?));
        }
        pairs[system..].sort_unstable();
        size += pairs.iter().map(|(_, value)| size_of(value)).sum::<usize>();
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        (size <= self.largest).then(|| (properties::encode(pairs), payload))
    }
}

/// What is published, and its size in Python's memory at most.
fn payload(data: &Bound<'_, PyAny>) -> Option<(Bytes, usize)> {
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        return Some((Bytes::copy_from_slice(bytes.as_bytes()), OBJECT + bytes.as_bytes().len()));
    }
    let text = text(data)?;
    let size = size_of(&text);
    Some((text.into(), size))
}

/// In Python's memory, at most.
fn size_of(text: &str) -> usize {
    OBJECT + CHARACTER * text.len()
}

/// The text of a str, which is empty for None, as both are not sent; None for everything else.
fn text_or_none(value: &Bound<'_, PyAny>) -> Option<String> {
    if value.is_none() { Some(String::new()) } else { text(value) }
}

/// The text of a str; None for everything else.
fn text(value: &Bound<'_, PyAny>) -> Option<String> {
    Some(value.cast_exact::<PyString>().ok()?.to_cow().ok()?.into_owned())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MessageWriter>()
}
