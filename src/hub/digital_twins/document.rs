//! The digital twin that a twin is.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{MARK, component};
use crate::hub::entity::Entity;
use crate::protocol::identity::IdentityId;
use crate::protocol::twin::{LAST_UPDATED, LAST_UPDATED_VERSION};

/// What a device reports of a writable property, and what the digital twin calls it.
const ACKNOWLEDGEMENT: [(&str, &str); 3] =
    [("av", "ackVersion"), ("ac", "ackCode"), ("ad", "ackDescription")];

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// One level of the twin's two sections, each with its metadata.
struct Level<'twin> {
    desired: &'twin Map<String, Value>,
    desired_metadata: &'twin Map<String, Value>,
    reported: &'twin Map<String, Value>,
    reported_metadata: &'twin Map<String, Value>,
}

/// `{"$dtId": …, "$metadata": {"$model": …, …}, …}`: what the device says, and in the metadata what is wanted of it.
pub(super) fn document(id: &IdentityId, entity: &Entity) -> Value {
    let (desired, reported) = (&entity.twin.desired, &entity.twin.reported);
    let (desired_metadata, reported_metadata) = (desired.metadata(), reported.metadata());
    let root = Level {
        desired: desired.values(),
        desired_metadata: &desired_metadata,
        reported: reported.values(),
        reported_metadata: &reported_metadata,
    };
    let name =
        id.module.as_ref().map_or_else(|| id.device.clone(), |module| format!("{}~{module}", id.device));
    let mut metadata = Map::from_iter([("$model".to_owned(), entity.presence.model_id.as_str().into())]);
    metadata.extend(root.metadata());
    let mut document = Map::from_iter([("$dtId".to_owned(), name.into())]);
    document.insert("$metadata".to_owned(), metadata.into());
    document.extend(root.members());
    document.into()
}

impl<'twin> Level<'twin> {
    /// All names, those that the device reports first.
    fn names(&self) -> impl Iterator<Item = &'twin String> {
        let (desired, reported) = (self.desired, self.reported);
        let wanted = desired.keys().filter(move |name| !reported.contains_key(*name));
        reported.keys().chain(wanted).filter(|name| *name != MARK.0)
    }

    fn component(&self, name: &str) -> Option<Self> {
        let inside = |section: &'twin Map<String, Value>| section.get(name).and_then(Value::as_object);
        component(self.desired, name).or_else(|| component(self.reported, name))?;
        let section = |values, metadata| match component(values, name) {
            Some(values) => (values, inside(metadata).unwrap_or(&*NOTHING)),
            None => (&*NOTHING, &*NOTHING),
        };
        let (desired, desired_metadata) = section(self.desired, self.desired_metadata);
        let (reported, reported_metadata) = section(self.reported, self.reported_metadata);
        Some(Self { desired, desired_metadata, reported, reported_metadata })
    }

    /// The values that the device reports, and the components.
    fn members(&self) -> impl Iterator<Item = (String, Value)> {
        self.names().filter_map(|name| {
            let value = match self.component(name) {
                Some(component) => {
                    let mut members: Map<_, _> = component.members().collect();
                    members
                        .insert("$metadata".to_owned(), component.metadata().collect::<Map<_, _>>().into());
                    members.into()
                }
                None => reported_value(self.reported.get(name)?).clone(),
            };
            Some((name.clone(), value))
        })
    }

    /// What is to be known of each property.
    fn metadata(&self) -> impl Iterator<Item = (String, Value)> {
        let properties = self.names().filter(|name| self.component(name).is_none());
        properties.map(|name| (name.clone(), self.of_property(name).into()))
    }

    fn of_property(&self, name: &str) -> Map<String, Value> {
        let mut found = Map::new();
        if let Some(desired) = self.desired.get(name) {
            found.insert("desiredValue".to_owned(), desired.clone());
            let version =
                self.desired_metadata.get(name).and_then(|metadata| metadata.get(LAST_UPDATED_VERSION));
            found.extend(version.map(|version| ("desiredVersion".to_owned(), version.clone())));
        }
        let reported = self.reported.get(name);
        if let Some(acknowledged) = reported.and_then(acknowledgement) {
            let fields = ACKNOWLEDGEMENT.iter();
            let fields =
                fields.filter_map(|(from, to)| Some(((*to).to_owned(), acknowledged.get(*from)?.clone())));
            found.extend(fields);
        }
        let time =
            reported.and(self.reported_metadata.get(name)).and_then(|metadata| metadata.get(LAST_UPDATED));
        found.extend(time.map(|time| ("lastUpdateTime".to_owned(), time.clone())));
        found
    }
}

/// `{"value": …, "ac": …, "av": …}`: how a device reports a property that back ends can write.
fn acknowledgement(reported: &Value) -> Option<&Map<String, Value>> {
    reported.as_object().filter(|object| object.contains_key("value") && object.contains_key("ac"))
}

fn reported_value(reported: &Value) -> &Value {
    acknowledgement(reported).and_then(|object| object.get("value")).unwrap_or(reported)
}
