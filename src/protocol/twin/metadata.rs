//! The metadata of a section: when everything in it was written.
//!
//! A tree that mirrors the properties, kept as the JSON that it is read as: it is written out far more often than it
//! changes, and as a tree it would be most of the memory that a twin takes.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::{SectionKind, child};
use crate::protocol::timestamp::timestamp;

/// When the metadata says that something was written.
pub const LAST_UPDATED: &str = "$lastUpdated";
/// With which `$version` of the section; in desired properties only.
pub const LAST_UPDATED_VERSION: &str = "$lastUpdatedVersion";

/// No property begins with `$`, so the stamps stand among the children.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Metadata(Box<RawValue>);

impl Metadata {
    /// That of an object without properties.
    pub(super) fn new(unix_millis: u64) -> Self {
        Self::of(&Map::from_iter([(LAST_UPDATED.to_owned(), timestamp(unix_millis).into())]))
    }

    pub(super) fn of(tree: &Map<String, Value>) -> Self {
        // Its keys are texts: it can be written.
        Self(to_raw_value(tree).unwrap_or_default())
    }

    pub(super) fn tree(&self) -> Map<String, Value> {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> &RawValue {
        &self.0
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// What one write leaves in the metadata of everything it touches.
pub(super) struct Stamp {
    time: String,
    /// Desired properties only.
    version: Option<u64>,
}

impl Stamp {
    pub(super) fn new(kind: SectionKind, version: u64, unix_millis: u64) -> Self {
        let version = (kind == SectionKind::Desired).then_some(version);
        Self { time: timestamp(unix_millis), version }
    }

    /// Merge a patch into values, and put this stamp on what it touches.
    pub(super) fn merge(
        &self,
        values: &mut Map<String, Value>,
        metadata: &mut Map<String, Value>,
        patch: &Map<String, Value>,
    ) {
        metadata.insert(LAST_UPDATED.to_owned(), self.time.clone().into());
        for (key, value) in patch {
            match value {
                Value::Null => {
                    values.shift_remove(key);
                    metadata.shift_remove(key);
                }
                Value::Object(patch) => {
                    self.merge(child(values, key), child(metadata, key), patch);
                }
                _ => {
                    values.insert(key.clone(), value.clone());
                    metadata.insert(key.clone(), self.leaf().into());
                }
            }
        }
        if let Some(version) = self.version {
            metadata.insert(LAST_UPDATED_VERSION.to_owned(), version.into());
        }
    }

    fn leaf(&self) -> Map<String, Value> {
        let mut leaf = Map::new();
        leaf.insert(LAST_UPDATED.to_owned(), self.time.clone().into());
        if let Some(version) = self.version {
            leaf.insert(LAST_UPDATED_VERSION.to_owned(), version.into());
        }
        leaf
    }
}
