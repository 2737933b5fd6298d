//! `ModelReader`: JSON read straight into the models of the service, by their declarations.
//!
//! The quick way only. What is unusual, and all that is wrong, is left to the reading in Python
//! (`ferrohub.service.model`), which knows what to say of it: here it ends the reading, whatever it was.

use std::collections::HashMap;

use jiter::{Jiter, JiterError, Peek};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyType};

/// How deep values are read, as deep as a twin may be and more. What is deeper is unusual.
const DEEPEST: usize = 64;
/// How many short texts are kept to be used again: the same names and values come with every row.
const KEPT_TEXTS: usize = 512;
/// In bytes.
const SHORT_TEXT: usize = 32;

/// Not for the quick way.
struct Unusual;

type Read<T> = Result<T, Unusual>;

impl From<JiterError> for Unusual {
    fn from(_: JiterError) -> Self {
        Self
    }
}

impl From<PyErr> for Unusual {
    fn from(_: PyErr) -> Self {
        Self
    }
}

/// One attribute of a model, as Python describes it: its name in JSON; its own; the type whose values are taken as they
/// are; and what reads all others, the reader of another model or a function of `(value, lenient)`.
type Field = (String, Py<PyString>, Option<Py<PyType>>, Py<PyAny>);

/// A model's class, and how its attributes are read.
#[pyclass(frozen, module = "ferrohub._native")]
struct ModelReader {
    /// `class.__new__`.
    make: Py<PyAny>,
    class: Py<PyType>,
    /// What a model's `__dict__` begins as.
    template: Py<PyDict>,
    fields: HashMap<String, Attribute>,
}

struct Attribute {
    name: Py<PyString>,
    reading: Reading,
}

enum Reading {
    Model(Py<ModelReader>),
    Value { plain: Option<Py<PyType>>, read: Py<PyAny> },
}

#[pymethods]
impl ModelReader {
    #[new]
    fn new(class: Bound<'_, PyType>, template: Py<PyDict>, fields: Vec<Field>) -> PyResult<Self> {
        let py = class.py();
        let fields = fields.into_iter().map(|(json_name, name, plain, read)| {
            let reading = match read.cast_bound::<ModelReader>(py) {
                Ok(reader) => Reading::Model(reader.clone().unbind()),
                Err(_) => Reading::Value { plain, read },
            };
            (json_name, Attribute { name, reading })
        });
        let fields = fields.collect();
        Ok(Self { make: class.getattr("__new__")?.unbind(), class: class.unbind(), template, fields })
    }

    /// The model of a JSON object; None if it has to be read in Python.
    fn one<'py>(&self, json: &Bound<'py, PyBytes>) -> Option<Bound<'py, PyAny>> {
        let mut text = Text::new(json);
        let model = text.first(Peek::Object).and_then(|()| self.read(&mut text, 0)).ok()?;
        text.end().ok().map(|()| model)
    }

    /// The models of a JSON array of objects; None if it has to be read in Python.
    fn many<'py>(&self, json: &Bound<'py, PyBytes>) -> Option<Bound<'py, PyList>> {
        let mut text = Text::new(json);
        let read = || text.first(Peek::Array).and_then(|()| self.read_each(&mut text));
        let models = without_collections(json.py(), read).ok()?.ok()?;
        text.end().ok().map(|()| models)
    }
}

impl ModelReader {
    fn read_each<'py>(&self, text: &mut Text<'py, '_>) -> Read<Bound<'py, PyList>> {
        let models = PyList::empty(text.py);
        let mut next = text.json.known_array()?;
        while let Some(kind) = next {
            if kind != Peek::Object {
                return Err(Unusual);
            }
            models.append(self.read(text, 1)?)?;
            next = text.json.array_step()?;
        }
        Ok(models)
    }

    fn read<'py>(&self, text: &mut Text<'py, '_>, depth: usize) -> Read<Bound<'py, PyAny>> {
        let py = text.py;
        let values = self.template.bind(py).copy()?;
        let unknown = PyDict::new(py);
        let mut key = text.json.known_object()?;
        while let Some(name) = key {
            if let Some(attribute) = self.fields.get(name) {
                values.set_item(&attribute.name, attribute.read(text, depth + 1)?)?;
            } else {
                let name = PyString::new(py, name);
                unknown.set_item(name, text.value(depth + 1)?)?;
            }
            key = text.json.next_key()?;
        }
        values.set_item(pyo3::intern!(py, "additional_properties"), unknown)?;
        let model = self.make.bind(py).call1((&self.class,))?;
        model.setattr(pyo3::intern!(py, "__dict__"), values)?;
        Ok(model)
    }
}

/// Read without collections of garbage: all that is made is kept, and looking through it again and again took a fifth of
/// the time. Nobody else runs meanwhile.
fn without_collections<T>(py: Python<'_>, read: impl FnOnce() -> T) -> PyResult<T> {
    let collector = py.import(pyo3::intern!(py, "gc"))?;
    let is_enabled = collector.call_method0(pyo3::intern!(py, "isenabled"))?.is_truthy()?;
    if is_enabled {
        collector.call_method0(pyo3::intern!(py, "disable"))?;
    }
    let value = read();
    if is_enabled {
        collector.call_method0(pyo3::intern!(py, "enable"))?;
    }
    Ok(value)
}

impl Attribute {
    fn read<'py>(&self, text: &mut Text<'py, '_>, depth: usize) -> Read<Bound<'py, PyAny>> {
        match &self.reading {
            Reading::Model(reader) => match text.json.peek()? {
                Peek::Object => reader.get().read(text, depth),
                Peek::Null => text.known(Peek::Null, depth),
                _ => Err(Unusual),
            },
            Reading::Value { plain, read } => {
                let value = text.value(depth)?;
                let as_it_is = |kind: &Py<PyType>| value.get_type().is(kind);
                if value.is_none() || plain.as_ref().is_some_and(as_it_is) {
                    return Ok(value);
                }
                Ok(read.bind(text.py).call1((value, false))?)
            }
        }
    }
}

/// JSON that is being read, and the short texts that were met in it.
struct Text<'py, 'text> {
    py: Python<'py>,
    json: Jiter<'text>,
    kept: Vec<Option<(Box<str>, Bound<'py, PyString>)>>,
}

impl<'py, 'text> Text<'py, 'text> {
    fn new(json: &'text Bound<'py, PyBytes>) -> Self {
        let kept = std::iter::repeat_with(|| None).take(KEPT_TEXTS).collect();
        Self { py: json.py(), json: Jiter::new(json.as_bytes()), kept }
    }

    /// The text begins with a value of this kind.
    fn first(&mut self, kind: Peek) -> Read<()> {
        if self.json.peek()? == kind { Ok(()) } else { Err(Unusual) }
    }

    /// Nothing follows.
    fn end(&mut self) -> Read<()> {
        Ok(self.json.finish()?)
    }

    fn value(&mut self, depth: usize) -> Read<Bound<'py, PyAny>> {
        let kind = self.json.peek()?;
        self.known(kind, depth)
    }

    /// The next value, which is of this kind.
    fn known(&mut self, kind: Peek, depth: usize) -> Read<Bound<'py, PyAny>> {
        if depth > DEEPEST {
            return Err(Unusual);
        }
        match kind {
            Peek::String => Ok(kept(self.py, &mut self.kept, self.json.known_str()?).into_any()),
            Peek::Object => self.object(depth),
            Peek::Array => self.array(depth),
            Peek::True | Peek::False => {
                Ok(PyBool::new(self.py, self.json.known_bool(kind)?).to_owned().into_any())
            }
            Peek::Null => {
                self.json.known_null()?;
                Ok(self.py.None().into_bound(self.py))
            }
            _ => self.number(kind),
        }
    }

    fn object(&mut self, depth: usize) -> Read<Bound<'py, PyAny>> {
        let object = PyDict::new(self.py);
        let mut key = self.json.known_object()?;
        while let Some(name) = key {
            let name = kept(self.py, &mut self.kept, name);
            object.set_item(name, self.value(depth + 1)?)?;
            key = self.json.next_key()?;
        }
        Ok(object.into_any())
    }

    fn array(&mut self, depth: usize) -> Read<Bound<'py, PyAny>> {
        let array = PyList::empty(self.py);
        let mut next = self.json.known_array()?;
        while let Some(kind) = next {
            array.append(self.known(kind, depth + 1)?)?;
            next = self.json.array_step()?;
        }
        Ok(array.into_any())
    }

    /// An int or a float. An int of more than 64 bits, `NaN` and infinities are unusual.
    fn number(&mut self, kind: Peek) -> Read<Bound<'py, PyAny>> {
        let digits = str::from_utf8(self.json.known_number_bytes(kind)?).map_err(|_| Unusual)?;
        if digits.contains(['.', 'e', 'E']) {
            return Ok(PyFloat::new(self.py, digits.parse().map_err(|_| Unusual)?).into_any());
        }
        let number: i64 = digits.parse().map_err(|_| Unusual)?;
        Ok(PyInt::new(self.py, number).into_any())
    }
}

/// A text in Python; the same object for a short one that was met before.
fn kept<'py>(
    py: Python<'py>,
    kept: &mut [Option<(Box<str>, Bound<'py, PyString>)>],
    text: &str,
) -> Bound<'py, PyString> {
    if text.len() > SHORT_TEXT {
        return PyString::new(py, text);
    }
    let place = &mut kept[place_of(text)];
    match place {
        Some((known, object)) if **known == *text => object.clone(),
        _ => {
            let object = PyString::new(py, text);
            *place = Some((text.into(), object.clone()));
            object
        }
    }
}

/// Where a text is kept, by its length, its first and its last eight bytes.
fn place_of(text: &str) -> usize {
    let bytes = text.as_bytes();
    let first = bytes.first_chunk().copied().unwrap_or_else(|| padded(bytes));
    let last = bytes.last_chunk().copied().unwrap_or_default();
    let mixed = (u64::from_le_bytes(first) ^ u64::from_le_bytes(last).rotate_left(23) ^ bytes.len() as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 55) as usize % KEPT_TEXTS
}

/// Fewer than eight bytes as eight.
fn padded(bytes: &[u8]) -> [u8; 8] {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ModelReader>()
}
