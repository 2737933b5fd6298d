//! JSON Patch on a digital twin: what its operations are for the desired properties.
//!
//! The operations are written as those of RFC 6902, but set and clear desired values, whatever stands in the document:
//! `replace` needs nothing to replace, and what a device reports stays when it is removed. A patch that is applied to a
//! document and compared with it after would not do: it would lose a desired value that is the one reported already.
//! <https://learn.microsoft.com/azure/iot/howto-manage-digital-twin>

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{MARK, component, is_component};
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::twin::{Twin, child, find};

/// Longest name in DTDL.
const LONGEST_NAME: usize = 64;
/// How deep objects may stand in each other in a value.
const DEEPEST: usize = 5;
/// What marks a component in a digital twin.
const METADATA: &str = "$metadata";

/// One operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Set the desired value of a property, or those of a whole component.
    #[serde(alias = "replace")]
    Add {
        /// A JSON pointer: `/property`, `/component` or `/component/property`.
        path: String,
        /// The value; of a component, an object with the empty object `$metadata`.
        value: Value,
    },
    /// Clear the desired value of a property, or those of a whole component.
    Remove {
        /// As of [`Self::Add`].
        path: String,
    },
}

/// Desired properties while operations are applied to them, one after another.
struct Desired<'twin> {
    twin: &'twin Twin,
    values: Map<String, Value>,
    touched: Vec<Vec<String>>,
}

/// The patch of a twin's desired properties that these operations are.
///
/// # Errors
/// 400 if one of them breaks a rule.
pub(super) fn desired(twin: &Twin, operations: &[Operation]) -> Result<Map<String, Value>, HubError> {
    let mut desired = Desired { twin, values: twin.desired.values().clone(), touched: Vec::new() };
    for operation in operations {
        desired.apply(operation)?;
    }
    Ok(desired.patch())
}

impl Desired<'_> {
    fn apply(&mut self, operation: &Operation) -> Result<(), HubError> {
        let path = names(operation.path())?;
        match (operation, path.as_slice()) {
            (Operation::Add { value: Value::Object(value), .. }, [name]) if value.contains_key(METADATA) => {
                self.set_component(name, value)
            }
            (Operation::Add { value, .. }, [name]) => {
                if self.is_component(name) {
                    return Err(not_conformant(name));
                }
                check_value(value, 0)?;
                self.values.insert(name.clone(), value.clone());
                self.touched.push(path);
                Ok(())
            }
            (Operation::Add { value, .. }, [name, property]) => {
                self.check_is_component_or_new(name)?;
                check_value(value, 0)?;
                let component = child(&mut self.values, name);
                component.insert(property.clone(), value.clone());
                self.mark(name);
                self.touched.push(path);
                Ok(())
            }
            (Operation::Remove { .. }, [name]) => {
                self.check_is_there(name, None)?;
                self.values.shift_remove(name);
                self.touched.push(path);
                Ok(())
            }
            (Operation::Remove { .. }, [name, property]) => {
                self.check_is_there(name, Some(property))?;
                let Some(Value::Object(component)) = self.values.get_mut(name) else { return Ok(()) };
                component.shift_remove(property);
                let is_empty = component.keys().all(|key| key == MARK.0);
                if is_empty {
                    self.values.shift_remove(name);
                }
                self.touched.push(if is_empty { vec![name.clone()] } else { path });
                Ok(())
            }
            _ => Err(invalid_path(operation.path())),
        }
    }

    /// Everything that isn't given is cleared.
    fn set_component(&mut self, name: &str, value: &Map<String, Value>) -> Result<(), HubError> {
        self.check_is_component_or_new(name)?;
        if !value.get(METADATA).and_then(Value::as_object).is_some_and(Map::is_empty) {
            return Err(invalid_value("the $metadata of a component is the empty object"));
        }
        let mut component = Map::new();
        for (property, value) in value.iter().filter(|(property, _)| *property != METADATA) {
            check_name(property).map_err(|()| invalid_value(&format!("'{property}' is no name")))?;
            check_value(value, 0)?;
            component.insert(property.clone(), value.clone());
        }
        self.values.insert(name.to_owned(), component.into());
        self.mark(name);
        self.touched.push(vec![name.to_owned()]);
        Ok(())
    }

    /// Mark an object as a component.
    fn mark(&mut self, name: &str) {
        if child(&mut self.values, name).insert(MARK.0.to_owned(), MARK.1.into()).is_none() {
            self.touched.push(vec![name.to_owned(), MARK.0.to_owned()]);
        }
    }

    fn is_component(&self, name: &str) -> bool {
        component(&self.values, name).or_else(|| component(self.twin.reported.values(), name)).is_some()
    }

    /// What exists as a property is no component.
    fn check_is_component_or_new(&self, name: &str) -> Result<(), HubError> {
        let is_other = |value: Option<&Value>| match value {
            Some(Value::Object(object)) => !is_component(object),
            other => other.is_some(),
        };
        if is_other(self.values.get(name)) || is_other(self.twin.reported.values().get(name)) {
            return Err(not_conformant(name));
        }
        Ok(())
    }

    fn check_is_there(&self, name: &str, property: Option<&String>) -> Result<(), HubError> {
        let path: Vec<String> = [name.to_owned()].into_iter().chain(property.cloned()).collect();
        if property.is_some() {
            self.check_is_component_or_new(name)?;
        }
        if find(&self.values, &path).or_else(|| find(self.twin.reported.values(), &path)).is_some() {
            return Ok(());
        }
        let message = format!("There is nothing at /{} that could be removed.", path.join("/"));
        Err(HubError::new(ErrorCode::INVALID_DIGITAL_TWIN_PATCH, message))
    }

    /// What was touched, as it is now.
    fn patch(self) -> Map<String, Value> {
        let before = self.twin.desired.values();
        let mut patch = Map::new();
        for path in &self.touched {
            let (old, new) = (find(before, path), find(&self.values, path));
            // A component that has gone takes what was done inside it before along.
            let gone = path.len() > 1 && !self.values.contains_key(&path[0]);
            if gone || old.is_none() && new.is_none() {
                continue;
            }
            let (last, parents) = match path.as_slice() {
                [name] => (name, None),
                [name, property, ..] => (property, Some(name)),
                [] => continue,
            };
            let target = match parents {
                Some(name) => child(&mut patch, name),
                None => &mut patch,
            };
            target.insert(last.clone(), rewritten(old, new));
        }
        patch
    }
}

/// The part of a patch that puts one value in the place of another, whole.
fn rewritten(before: Option<&Value>, now: Option<&Value>) -> Value {
    match (before, now) {
        (_, None) => Value::Null,
        (Some(Value::Object(before)), Some(Value::Object(now))) => {
            let gone = before.keys().filter(|key| !now.contains_key(*key));
            let gone = gone.map(|key| (key.clone(), Value::Null));
            let set = now.iter().map(|(key, value)| (key.clone(), rewritten(before.get(key), Some(value))));
            gone.chain(set).collect::<Map<_, _>>().into()
        }
        (_, Some(now)) => now.clone(),
    }
}

impl Operation {
    fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Remove { path } => path,
        }
    }
}

/// The names in a JSON pointer: one or two, each as in DTDL. That leaves nothing to unescape.
fn names(pointer: &str) -> Result<Vec<String>, HubError> {
    let names = pointer.strip_prefix('/').map(|rest| rest.split('/').map(str::to_owned).collect::<Vec<_>>());
    let names = names.filter(|names| names.len() <= 2 && names.iter().all(|name| check_name(name).is_ok()));
    names.ok_or_else(|| invalid_path(pointer))
}

/// ASCII letters, digits and underscores; a letter first, no underscore last.
fn check_name(name: &str) -> Result<(), ()> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if fits && first && !name.ends_with('_') && name.len() <= LONGEST_NAME { Ok(()) } else { Err(()) }
}

/// `depth` counts the objects around the value.
fn check_value(value: &Value, depth: usize) -> Result<(), HubError> {
    match value {
        Value::Null => Err(invalid_value("null is no value: use remove")),
        Value::Array(_) => Err(invalid_value("arrays are no values of properties")),
        Value::Object(_) if depth == DEEPEST => {
            Err(invalid_value(&format!("objects stand more than {DEEPEST} deep in each other")))
        }
        Value::Object(object) => object.iter().try_for_each(|(name, value)| {
            check_name(name).map_err(|()| invalid_value(&format!("'{name}' is no name")))?;
            check_value(value, depth + 1)
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn invalid_value(why: &str) -> HubError {
    HubError::new(ErrorCode::INVALID_DIGITAL_TWIN_PAYLOAD, format!("A value can't be set: {why}."))
}

fn invalid_path(path: &str) -> HubError {
    let message = format!(
        "The path '{path}' is neither /property nor /component/property, with names of letters, digits and underscores."
    );
    HubError::new(ErrorCode::INVALID_DIGITAL_TWIN_PATH, message)
}

/// The service's own sentence.
fn not_conformant(name: &str) -> HubError {
    HubError::invalid(format!(
        "'{name}' exists within the device twin and is not digital twin conformant property. Please refer to aka.ms/dtpatch to update this to be conformant."
    ))
}
