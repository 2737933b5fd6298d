//! What a configuration sets: values at paths of desired properties, of a device, of modules, or of modules on IoT Edge.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-automatic-device-management>

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hub::edge::RUNTIME_MODULES;
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::twin::{self, InvalidTwin, Twin, TwinUpdate};

/// Where every path begins.
const DESIRED: &str = "properties.desired";
/// The module that every deployment on IoT Edge configures.
pub(super) const EDGE_AGENT: &str = RUNTIME_MODULES[0];

/// Content as back ends send it: one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    #[serde(rename = "deviceContent", skip_serializing_if = "Option::is_none")]
    device: Option<Map<String, Value>>,
    #[serde(rename = "modulesContent", skip_serializing_if = "Option::is_none")]
    edge: Option<Map<String, Value>>,
    #[serde(rename = "moduleContent", skip_serializing_if = "Option::is_none")]
    module: Option<Map<String, Value>>,
}

/// Whose desired properties are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The targeted devices'.
    Device,
    /// The targeted modules'.
    Module,
    /// Those of modules on the targeted devices, which are IoT Edge devices.
    Edge,
}

/// Content that keeps the rules.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) kind: Kind,
    /// In the order of the content. Only those on IoT Edge name a module.
    of_modules: Vec<(Option<String>, Vec<Setting>)>,
}

/// A value, and where it stands in the desired properties.
#[derive(Debug)]
pub(super) struct Setting {
    path: Vec<String>,
    /// The value at its path.
    patch: Map<String, Value>,
    /// Whether nothing of what stands at the path or below it is left: on IoT Edge, and where the value is no object.
    replaces: bool,
}

impl Content {
    /// Check it, and find the paths in it.
    ///
    /// # Errors
    /// 400 `InvalidConfigurationContent`, saying which rule is broken.
    pub(super) fn settings(&self) -> Result<Settings, HubError> {
        match (&self.device, &self.module, &self.edge) {
            (Some(content), None, None) => Settings::of_one(Kind::Device, content),
            (None, Some(content), None) => Settings::of_one(Kind::Module, content),
            (None, None, Some(content)) => Settings::of_edge(content),
            _ => {
                Err(invalid("The content has to be one of deviceContent, moduleContent and modulesContent."))
            }
        }
    }

    /// The same for a single IoT Edge device.
    ///
    /// # Errors
    /// As of [`Self::settings`]; only modules of it can be configured.
    pub(super) fn edge_settings(&self) -> Result<Settings, HubError> {
        let settings = self.settings()?;
        if settings.kind == Kind::Edge {
            Ok(settings)
        } else {
            Err(invalid("The content of an IoT Edge device has to be modulesContent."))
        }
    }
}

impl Settings {
    fn of_one(kind: Kind, content: &Map<String, Value>) -> Result<Self, HubError> {
        Ok(Self { kind, of_modules: vec![(None, settings(content, false)?)] })
    }

    fn of_edge(content: &Map<String, Value>) -> Result<Self, HubError> {
        if !content.contains_key(EDGE_AGENT) {
            return Err(invalid(&format!("modulesContent has to configure the module {EDGE_AGENT}.")));
        }
        let of_module = |(module, content): (&String, &Value)| {
            IdentityId::module("device", module).map_err(|error| invalid(&error.to_string()))?;
            if module.starts_with('$') && !RUNTIME_MODULES.contains(&module.as_str()) {
                return Err(invalid(&format!("There is no module {module} on IoT Edge.")));
            }
            let content = content.as_object();
            let content =
                content.ok_or_else(|| invalid(&format!("The content of {module} is no object.")))?;
            Ok((Some(module.clone()), settings(content, true)?))
        };
        let of_modules = content.iter().map(of_module).collect::<Result<_, HubError>>()?;
        Ok(Self { kind: Kind::Edge, of_modules })
    }

    /// What is set in the twin of this device or module; none if it isn't concerned.
    pub(super) fn of(&self, id: &IdentityId) -> Option<&[Setting]> {
        let module = id.module.as_ref().filter(|_| self.kind == Kind::Edge);
        let found = self.of_modules.iter().find(|(name, _)| name.as_ref() == module);
        found.map(|(_, settings)| settings.as_slice())
    }

    /// The modules that have to be there.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.of_modules.iter().filter_map(|(module, _)| module.as_deref())
    }
}

impl Setting {
    /// Set the value.
    pub(super) fn set(&self, desired: &mut Map<String, Value>) {
        if self.replaces {
            clear(desired, &self.path);
        }
        twin::merge_values(desired, &self.patch);
    }

    /// Take back what was set, and objects in which nothing is left.
    pub(super) fn withdraw(&self, desired: &mut Map<String, Value>) {
        withdraw(desired, &self.patch);
    }

    /// Whether the other sets nothing beside it, if this one has precedence: of two settings at one path one counts.
    pub(super) fn hides(&self, other: &Self) -> bool {
        self.path == other.path || self.replaces && other.path.starts_with(&self.path)
    }
}

/// Read `{"properties.desired.a.b": …}`.
fn settings(content: &Map<String, Value>, replaces: bool) -> Result<Vec<Setting>, HubError> {
    let read = |(key, value): (&String, &Value)| {
        let names = path(key)?;
        let wrapped = |inner: Value, key: &String| Map::from_iter([(key.clone(), inner)]).into();
        let Value::Object(patch) = names.iter().rev().fold(value.clone(), wrapped) else {
            return Err(invalid(&format!("The value of {key} is no object.")));
        };
        Ok(Setting { path: names, patch, replaces: replaces || !value.is_object() })
    };
    let settings = content.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    check_rules(&settings).map_err(|error| invalid(&error.to_string()))?;
    Ok(settings)
}

/// The content has to keep the rules of twins.
fn check_rules(settings: &[Setting]) -> Result<(), InvalidTwin> {
    let mut desired = Map::new();
    for setting in settings {
        setting.set(&mut desired);
    }
    Twin::new(0).patch(&TwinUpdate { tags: None, desired: Some(desired) }, 0).map(drop)
}

/// The names behind `properties.desired`.
fn path(key: &str) -> Result<Vec<String>, HubError> {
    let rest = key.strip_prefix(DESIRED).filter(|rest| rest.is_empty() || rest.starts_with('.'));
    let rest = rest.ok_or_else(|| invalid(&format!("The path '{key}' does not begin with {DESIRED}.")))?;
    let names: Vec<String> = rest.split('.').skip(1).map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(invalid(&format!("The path '{key}' holds an empty name.")));
    }
    Ok(names)
}

/// Remove what stands at the path.
fn clear(desired: &mut Map<String, Value>, path: &[String]) {
    match path {
        [] => desired.clear(),
        [last] => drop(desired.shift_remove(last)),
        [first, rest @ ..] => {
            if let Some(Value::Object(inner)) = desired.get_mut(first) {
                clear(inner, rest);
            }
        }
    }
}

fn withdraw(desired: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        let nothing_left = match (desired.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(patch)) => {
                withdraw(inner, patch);
                inner.is_empty()
            }
            (_, value) => !value.is_null(),
        };
        if nothing_left {
            desired.shift_remove(key);
        }
    }
}

fn invalid(message: &str) -> HubError {
    HubError::new(ErrorCode::INVALID_CONFIGURATION_CONTENT, message)
}
