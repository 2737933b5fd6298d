//! What the hub tells of devices beside what they send: that they came and went, and that their twins changed.
//!
//! Azure's hubs tell this only where a route asks for it, and so does this one: [`EventOptions`](super::EventOptions) names
//! the sources. It is seen in the store, where every change passes, whoever made it.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-non-telemetry-event-schema>

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Event, Sender, Source};
use crate::hub::HubState;
use crate::hub::entity::Entity;
use crate::hub::store::Store;
use crate::hub::twin_document::twin_document;
use crate::protocol::identity::IdentityId;
use crate::protocol::properties;
use crate::protocol::timestamp::timestamp;
use crate::protocol::twin::Section;

/// Most changes that become events in one turn.
const BATCH: usize = 256;

/// A change of one device or module: what it was, and what it is; nothing before it was made and after it was removed.
struct Change {
    id: IdentityId,
    before: Option<Arc<Entity>>,
    after: Option<Arc<Entity>>,
}

/// The changes that are still to be told.
pub(in crate::hub) struct Changes {
    sources: Vec<Source>,
    queue: UnboundedReceiver<Change>,
}

impl Changes {
    /// Watch for changes that these sources tell of; nothing is watched if there are none.
    pub(in crate::hub) fn watch(sources: &[Source], store: &Store) -> Option<Self> {
        let sources: Vec<_> = sources.iter().copied().filter(|source| *source != Source::Telemetry).collect();
        if sources.is_empty() {
            return None;
        }
        let (changes, queue): (UnboundedSender<Change>, _) = unbounded_channel();
        store.observe(move |id, before, after| {
            let change = Change { id: id.clone(), before: before.cloned(), after: after.cloned() };
            // Nobody hears it when the hub is stopping.
            let _ = changes.send(change);
        });
        Some(Self { sources, queue })
    }

    /// Make events of changes, as long as the hub runs.
    pub(in crate::hub) async fn keep_told(mut self, hub: HubState) {
        let mut changes = Vec::new();
        while self.queue.recv_many(&mut changes, BATCH).await > 0 {
            let events: Vec<_> =
                changes.drain(..).filter_map(|change| change.told(&self.sources, &hub)).collect();
            // Refused only if the data file can't be written, which every answer tells.
            let _ = hub.events.append(events.into_iter(), &hub.store);
        }
    }
}

impl Change {
    fn told(self, sources: &[Source], hub: &HubState) -> Option<Event> {
        let (source, operation, body) = self.what(hub)?;
        if !sources.contains(&source) {
            return None;
        }
        let entity = self.after.as_ref().or(self.before.as_ref())?;
        let now = hub.clock.unix_millis();
        let schema =
            format!("{}{}", if source == Source::Lifecycle { self.kind() } else { "" }, source.schema());
        let operated = timestamp(now);
        let module = self.id.module.as_deref().map(|module| ("moduleId", module));
        let named = [
            ("$.ct", "application/json"),
            ("$.ce", "utf-8"),
            ("hubName", hub.access.hub_name()),
            ("deviceId", &self.id.device),
        ];
        let more =
            [("operationTimestamp", &*operated), ("opType", &operation), ("iothub-message-schema", &schema)];
        let properties = properties::encode(named.into_iter().chain(module).chain(more));
        let sender = Sender {
            id: self.id,
            generation_id: entity.identity.generation_id.clone(),
            auth_method: String::new(),
            model_id: entity.presence.model_id.clone(),
        };
        Some(Event {
            sender: Arc::new(sender),
            source,
            enqueued_unix_millis: now,
            properties,
            body: body.to_string().into(),
            duplicate: false,
        })
    }

    /// Where it is told, as which operation, and how.
    fn what(&self, hub: &HubState) -> Option<(Source, String, Value)> {
        let kind = self.kind();
        match (&self.before, &self.after) {
            (None, Some(entity)) => Some(self.lifecycle("create", entity)),
            (Some(entity), None) => Some(self.lifecycle("delete", entity)),
            (Some(before), Some(after)) if before.presence.connected != after.presence.connected => {
                let what = if after.presence.connected { "Connected" } else { "Disconnected" };
                let body = json!({ "sequenceNumber": format!("{:064X}", hub.next_connection_event()) });
                Some((Source::ConnectionState, format!("{kind}{what}"), body))
            }
            (Some(before), Some(after)) => {
                Some((Source::TwinChange, "updateTwin".to_owned(), twin_change(before, after)?))
            }
            (None, None) => None,
        }
    }

    fn lifecycle(&self, verb: &str, entity: &Entity) -> (Source, String, Value) {
        let what = if self.id.module.is_some() { "Module" } else { "Device" };
        let body = twin_document(&self.id, entity).to_value();
        (Source::Lifecycle, format!("{verb}{what}Identity"), body)
    }

    fn kind(&self) -> &'static str {
        if self.id.module.is_some() { "module" } else { "device" }
    }
}

/// What changed in a twin, as a patch; nothing if nothing did.
fn twin_change(before: &Entity, after: &Entity) -> Option<Value> {
    if before.twin.version == after.twin.version {
        return None;
    }
    let mut body = Map::from_iter([("version".to_owned(), after.twin.version.into())]);
    let tags = difference(&before.twin.tags, &after.twin.tags);
    if !tags.is_empty() {
        body.insert("tags".to_owned(), tags.into());
    }
    let sections = [
        ("desired", &before.twin.desired, &after.twin.desired),
        ("reported", &before.twin.reported, &after.twin.reported),
    ];
    let changed = sections.into_iter().filter(|(_, before, after)| before.version() != after.version());
    let changed: Map<_, _> = changed
        .map(|(name, before, after)| (name.to_owned(), section_change(before, after).into()))
        .collect();
    if !changed.is_empty() {
        body.insert("properties".to_owned(), changed.into());
    }
    Some(body.into())
}

fn section_change(before: &Section, after: &Section) -> Map<String, Value> {
    let mut change = difference(before.values(), after.values());
    let metadata = metadata_of(&change, &after.metadata());
    change.insert("$metadata".to_owned(), metadata.into());
    change.insert("$version".to_owned(), after.version().into());
    change
}

/// The patch that makes one document of another.
fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let removed =
        before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let changed = after.iter().filter_map(|(name, now)| match (before.get(name), now) {
        (Some(then), now) if then == now => None,
        (Some(Value::Object(then)), Value::Object(now)) => Some((name.clone(), difference(then, now).into())),
        _ => Some((name.clone(), now.clone())),
    });
    removed.chain(changed).collect()
}

/// The metadata of what a patch changes: its stamps, and those of what it names.
fn metadata_of(patch: &Map<String, Value>, metadata: &Map<String, Value>) -> Map<String, Value> {
    let of = metadata.iter().filter_map(|(name, of)| match (patch.get(name), of) {
        _ if name.starts_with('$') => Some((name.clone(), of.clone())),
        (Some(Value::Object(patch)), Value::Object(of)) => {
            Some((name.clone(), metadata_of(patch, of).into()))
        }
        (Some(_), of) => Some((name.clone(), of.clone())),
        (None, _) => None,
    });
    of.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("{value} is no object") };
        object
    }

    #[test]
    fn a_change_is_told_as_a_patch() {
        let before = object(json!({ "a": 1, "b": { "c": 1, "d": 2 }, "e": [1], "f": { "g": 1 } }));
        let after = object(json!({ "a": 1, "b": { "c": 3, "d": 2 }, "e": [1, 2], "h": null, "f": 5 }));
        let patch = difference(&before, &after);
        assert_eq!(patch, object(json!({ "b": { "c": 3 }, "e": [1, 2], "h": null, "f": 5 })));
        assert_eq!(difference(&after, &object(json!({ "a": 1 })))["b"], Value::Null);
        assert!(difference(&before, &before).is_empty());
    }

    #[test]
    fn the_metadata_told_is_that_of_what_changed() {
        let metadata = object(json!({
            "$lastUpdated": 1, "a": { "$lastUpdated": 2 }, "b": { "$lastUpdated": 3, "c": { "$lastUpdated": 4 }, "d": {} },
        }));
        let of = metadata_of(&object(json!({ "b": { "c": 1 } })), &metadata);
        let expected = json!({ "$lastUpdated": 1, "b": { "$lastUpdated": 3, "c": { "$lastUpdated": 4 } } });
        assert_eq!(of, object(expected));
    }
}
