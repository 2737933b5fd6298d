//! Twins: how a patch changes a section, what it leaves in the metadata, and how each side sees the result.
//!
//! Pure: the caller gives the time. Numbers are kept as they were written (`1` and `1.0` differ).
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins>

mod metadata;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::json_view::View;
use super::twin_rules;
use metadata::{Metadata, Stamp};

pub use super::twin_rules::InvalidTwin;
pub use metadata::{LAST_UPDATED, LAST_UPDATED_VERSION};

const METADATA: &str = "$metadata";
const VERSION: &str = "$version";

/// Which section of the properties; they differ in who writes them and in their metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SectionKind {
    /// Written by the service, sent to the device.
    Desired,
    /// Written by the device.
    Reported,
}

/// The desired or the reported properties of one twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    kind: SectionKind,
    version: u64,
    values: Map<String, Value>,
    metadata: Metadata,
}

/// A device's or module's twin without what belongs to its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Twin {
    /// Grows by one with every write, whoever writes.
    pub version: u64,
    /// The `ETag`'s counter: grows when the service writes tags or desired properties.
    pub revision: u64,
    /// What only the service sees.
    pub tags: Map<String, Value>,
    /// What the service wants.
    pub desired: Section,
    /// What the device says.
    pub reported: Section,
}

/// A service's patch or replacement of a twin: what of the body counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinUpdate {
    /// The body's `tags`.
    pub tags: Option<Map<String, Value>>,
    /// The body's `properties.desired`, without the hub's own `$metadata` and `$version`.
    pub desired: Option<Map<String, Value>>,
}

impl Section {
    fn new(kind: SectionKind, unix_millis: u64) -> Self {
        Self { kind, version: 1, values: Map::new(), metadata: Metadata::new(unix_millis) }
    }

    /// The section's `$version`: 1 at first, one more with every write.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The properties, without metadata.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// When everything was written, as a tree that mirrors the properties.
    #[must_use]
    pub fn metadata(&self) -> Map<String, Value> {
        self.metadata.tree()
    }

    /// Apply a patch: `null` removes, objects merge, everything else replaces.
    ///
    /// # Errors
    /// [`InvalidTwin`] if the patch or the result breaks a rule; the section is then unchanged.
    pub fn patch(&mut self, patch: &Map<String, Value>, unix_millis: u64) -> Result<(), InvalidTwin> {
        let mut changed = self.clone();
        changed.merge(self.metadata(), patch, unix_millis)?;
        *self = changed;
        Ok(())
    }

    /// Put this document in the place of the old one.
    fn replace(&mut self, document: &Map<String, Value>, unix_millis: u64) -> Result<(), InvalidTwin> {
        self.values.clear();
        self.merge(Map::new(), document, unix_millis)
    }

    fn merge(
        &mut self,
        mut metadata: Map<String, Value>,
        patch: &Map<String, Value>,
        unix_millis: u64,
    ) -> Result<(), InvalidTwin> {
        twin_rules::check_content(patch)?;
        self.version += 1;
        let stamp = Stamp::new(self.kind, self.version, unix_millis);
        stamp.merge(&mut self.values, &mut metadata, patch);
        self.metadata = Metadata::of(&metadata);
        twin_rules::check_size(&twin_rules::PROPERTIES, &self.values)
    }

    /// The properties and `$version`: what the device sees.
    #[must_use]
    pub fn device_view(&self) -> Map<String, Value> {
        with_version(&self.values, self.version)
    }

    /// The properties, `$metadata` and `$version`: what the service sees.
    #[must_use]
    pub fn service_view(&self) -> View<'_> {
        let values = self.values.iter().map(|(key, value)| (key.as_str(), View::Value(Cow::Borrowed(value))));
        let own = [(METADATA, View::Json(self.metadata.json())), (VERSION, self.version.into())];
        View::Entries(values.chain(own).collect())
    }

    /// What stands at this path of the service's view; nothing if nothing does. An empty path is the whole view.
    #[must_use]
    pub fn find(&self, path: &[String]) -> Option<Cow<'_, Value>> {
        match path {
            [] => Some(Cow::Owned(self.service_view().to_value())),
            [name] if name == METADATA => Some(Cow::Owned(self.metadata().into())),
            [name] if name == VERSION => Some(Cow::Owned(self.version.into())),
            [name, path @ ..] if name == METADATA => find(&self.metadata(), path).cloned().map(Cow::Owned),
            path => find(&self.values, path).map(Cow::Borrowed),
        }
    }
}

/// What stands at this path of an object; nothing if nothing does, or the path is empty.
#[must_use]
pub fn find<'tree>(object: &'tree Map<String, Value>, path: &[String]) -> Option<&'tree Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(first)?, |value, key| value.as_object()?.get(key))
}

impl Twin {
    /// The twin of a new identity.
    #[must_use]
    pub fn new(unix_millis: u64) -> Self {
        Self {
            version: 2,
            revision: 1,
            tags: Map::new(),
            desired: Section::new(SectionKind::Desired, unix_millis),
            reported: Section::new(SectionKind::Reported, unix_millis),
        }
    }

    /// Merge a service's patch into tags and desired properties. The answer is what a connected
    /// device is told: the patch of the desired properties as applied, with `$version`.
    ///
    /// # Errors
    /// [`InvalidTwin`] if a rule is broken. The twin may be half changed then: work on a copy.
    pub fn patch(
        &mut self,
        update: &TwinUpdate,
        unix_millis: u64,
    ) -> Result<Option<Map<String, Value>>, InvalidTwin> {
        if *update == TwinUpdate::default() {
            return Ok(None);
        }
        if let Some(tags) = &update.tags {
            twin_rules::check_content(tags)?;
            merge_values(&mut self.tags, tags);
            twin_rules::check_size(&twin_rules::TAGS, &self.tags)?;
        }
        self.count_service_write();
        let Some(desired) = &update.desired else { return Ok(None) };
        self.desired.merge(self.desired.metadata(), desired, unix_millis)?;
        Ok(Some(with_version(desired, self.desired.version)))
    }

    /// Put a service's document in the place of tags and desired properties; what it doesn't hold is
    /// gone. The answer is what a connected device is told: all desired properties, with `$version`.
    ///
    /// # Errors
    /// [`InvalidTwin`] if a rule is broken. The twin may be half changed then: work on a copy.
    pub fn replace(
        &mut self,
        update: &TwinUpdate,
        unix_millis: u64,
    ) -> Result<Map<String, Value>, InvalidTwin> {
        let (tags, desired) = (update.tags.clone().unwrap_or_default(), update.desired.clone());
        twin_rules::check_content(&tags)?;
        self.tags.clear();
        merge_values(&mut self.tags, &tags);
        twin_rules::check_size(&twin_rules::TAGS, &self.tags)?;
        self.count_service_write();
        self.desired.replace(&desired.unwrap_or_default(), unix_millis)?;
        Ok(self.desired.device_view())
    }

    /// Merge a device's patch into its reported properties; the answer is the new `$version`.
    ///
    /// # Errors
    /// [`InvalidTwin`] if a rule is broken; the twin is then unchanged.
    pub fn report(&mut self, patch: &Map<String, Value>, unix_millis: u64) -> Result<u64, InvalidTwin> {
        self.reported.patch(patch, unix_millis)?;
        self.version += 1;
        Ok(self.reported.version)
    }

    fn count_service_write(&mut self) {
        self.version += 1;
        self.revision += 1;
    }

    /// `{"desired":{…,"$version":n},"reported":{…,"$version":m}}`: a device's answer to its GET.
    #[must_use]
    pub fn device_view(&self) -> Value {
        json!({ "desired": self.desired.device_view(), "reported": self.reported.device_view() })
    }
}

impl TwinUpdate {
    /// Take what counts from a service's body: `tags` and `properties.desired`. Whole twins are
    /// accepted, since programs read one, change it and send it back; what isn't theirs to write is
    /// left out. A `null` removes everything below it.
    ///
    /// # Errors
    /// [`InvalidTwin`] if one of them is neither an object nor `null`.
    pub fn from_body(body: &Map<String, Value>, current: &Twin) -> Result<Self, InvalidTwin> {
        let tags = section(body, "tags", &current.tags)?;
        let properties = match body.get("properties") {
            None | Some(Value::Null) => None,
            Some(Value::Object(properties)) => Some(properties),
            Some(_) => return Err(InvalidTwin::not_an_object("properties")),
        };
        let desired = properties
            .map(|properties| section(properties, "desired", &current.desired.values))
            .transpose()?;
        let mut desired = desired.flatten();
        if let Some(desired) = &mut desired {
            desired.shift_remove(METADATA);
            desired.shift_remove(VERSION);
        }
        Ok(Self { tags, desired })
    }
}

/// An object of the body; `null` stands for a `null` on everything there is.
fn section(
    parent: &Map<String, Value>,
    name: &'static str,
    current: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>, InvalidTwin> {
    match parent.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(current.keys().map(|key| (key.clone(), Value::Null)).collect())),
        Some(Value::Object(object)) => Ok(Some(object.clone())),
        Some(_) => Err(InvalidTwin::not_an_object(name)),
    }
}

fn with_version(values: &Map<String, Value>, version: u64) -> Map<String, Value> {
    let mut view = values.clone();
    view.insert(VERSION.to_owned(), version.into());
    view
}

/// Merge a patch into an object without metadata, as tags are: `null` removes, objects merge, everything else replaces.
pub fn merge_values(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            // Not `remove`, which would move the last key to this place.
            Value::Null => drop(target.shift_remove(key)),
            Value::Object(patch) => merge_values(child(target, key), patch),
            _ => drop(target.insert(key.clone(), value.clone())),
        }
    }
}

/// The patch that makes one object of the other: [`merge_values`] turned round. Neither holds a `null`.
#[must_use]
pub fn difference(before: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
    let gone = before.keys().filter(|key| !now.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = now.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| match (before.get(key), value) {
        (Some(Value::Object(before)), Value::Object(now)) => (key.clone(), difference(before, now).into()),
        (_, value) => (key.clone(), value.clone()),
    });
    gone.chain(changed).collect()
}

/// The object under a key, made (in the place of whatever isn't an object) if there is none.
pub fn child<'parent>(parent: &'parent mut Map<String, Value>, key: &str) -> &'parent mut Map<String, Value> {
    let value = parent.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Map::new().into();
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object above"),
    }
}

#[cfg(test)]
mod tests;
