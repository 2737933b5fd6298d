//! Twins beside a naive model: whatever back ends and the device write, in any order, values, metadata, versions and
//! `ETag`s must be those of the model, and what is refused must leave everything as it was.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub::clock::Clock;
use ferrohub::hub::registry::IfMatch;
use ferrohub::hub::twins::TwinWrite;
use ferrohub::hub::{HubSettings, HubState};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::protocol::timestamp::timestamp;
use serde_json::{Map, Value, json};

use crate::hub_queries::create;
use crate::support::{Random, START, twin_document};

type Path = Vec<String>;

/// When a path was written last, and with which `$version`.
type Stamp = (String, u64);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Object,
    Leaf(Value),
}

/// A section as a flat list of paths, on which each object stands too.
#[derive(Clone, Default)]
struct Flat {
    nodes: BTreeMap<Path, Node>,
    stamps: BTreeMap<Path, Stamp>,
}

impl Flat {
    fn merge(&mut self, at: &[String], patch: &Map<String, Value>, stamp: &Stamp) {
        self.stamps.insert(at.to_vec(), stamp.clone());
        for (key, value) in patch {
            let below = [at, std::slice::from_ref(key)].concat();
            match value {
                Value::Null => self.remove(&below),
                Value::Object(inner) => {
                    if self.nodes.get(&below) != Some(&Node::Object) {
                        self.remove(&below);
                        self.nodes.insert(below.clone(), Node::Object);
                    }
                    self.merge(&below, inner, stamp);
                }
                leaf => {
                    self.remove(&below);
                    self.nodes.insert(below.clone(), Node::Leaf(leaf.clone()));
                    self.stamps.insert(below, stamp.clone());
                }
            }
        }
    }

    fn remove(&mut self, path: &[String]) {
        self.nodes.retain(|other, _| !other.starts_with(path));
        self.stamps.retain(|other, _| !other.starts_with(path));
    }

    /// A `null` for a whole section.
    fn nothing(&self) -> Map<String, Value> {
        self.nodes.keys().map(|path| (path[0].clone(), Value::Null)).collect()
    }

    fn values(&self) -> Value {
        let mut values = json!({});
        for (path, node) in &self.nodes {
            *place(&mut values, path) = match node {
                Node::Object => json!({}),
                Node::Leaf(value) => value.clone(),
            };
        }
        values
    }

    fn metadata(&self, versions: bool) -> Value {
        let mut metadata = json!({});
        for (path, (time, version)) in &self.stamps {
            let metadata = place(&mut metadata, path);
            metadata["$lastUpdated"] = time.as_str().into();
            if versions {
                metadata["$lastUpdatedVersion"] = (*version).into();
            }
        }
        metadata
    }
}

fn place<'tree>(tree: &'tree mut Value, path: &[String]) -> &'tree mut Value {
    path.iter().fold(tree, |tree, key| &mut tree[key.as_str()])
}

/// A section that has a `$version`.
#[derive(Clone)]
struct Section {
    flat: Flat,
    version: u64,
    desired: bool,
}

impl Section {
    fn new(desired: bool, now: u64) -> Self {
        let mut flat = Flat::default();
        flat.stamps.insert(Path::new(), (timestamp(now), 0));
        Self { flat, version: 1, desired }
    }

    fn merge(&mut self, patch: &Map<String, Value>, now: u64) {
        self.version += 1;
        self.flat.merge(&[], patch, &(timestamp(now), self.version));
    }

    fn device_view(&self) -> Value {
        let mut view = self.flat.values();
        view["$version"] = self.version.into();
        view
    }

    fn service_view(&self) -> Value {
        let mut view = self.device_view();
        // Before the first write no version is told.
        view["$metadata"] = self.flat.metadata(self.desired && self.version > 1);
        view
    }
}

#[derive(Clone)]
struct Model {
    version: u64,
    revision: u64,
    tags: Flat,
    desired: Section,
    reported: Section,
}

impl Model {
    fn new(now: u64) -> Self {
        let (desired, reported) = (Section::new(true, now), Section::new(false, now));
        Self { version: 2, revision: 1, tags: Flat::default(), desired, reported }
    }

    fn etag(&self) -> String {
        STANDARD.encode(self.revision.to_be_bytes())
    }

    fn write(&mut self, how: TwinWrite, body: &Map<String, Value>, now: u64) {
        let section = |value: Option<&Value>, current: &Flat| match value {
            None => None,
            Some(Value::Null) => Some(current.nothing()),
            Some(value) => Some(value.as_object().unwrap().clone()),
        };
        let tags = section(body.get("tags"), &self.tags);
        let properties = body.get("properties").and_then(Value::as_object);
        let desired = section(properties.and_then(|some| some.get("desired")), &self.desired.flat);
        let desired = desired.map(|mut desired| {
            desired.retain(|key, _| key != "$version" && key != "$metadata");
            desired
        });
        if how == TwinWrite::Patch && tags.is_none() && desired.is_none() {
            return;
        }
        self.version += 1;
        self.revision += 1;
        let unused = (String::new(), 0);
        match how {
            TwinWrite::Patch => {
                if let Some(tags) = tags {
                    self.tags.merge(&[], &tags, &unused);
                }
                if let Some(desired) = desired {
                    self.desired.merge(&desired, now);
                }
            }
            TwinWrite::Replace => {
                self.tags = Flat::default();
                self.tags.merge(&[], &tags.unwrap_or_default(), &unused);
                self.desired.flat = Flat::default();
                self.desired.merge(&desired.unwrap_or_default(), now);
            }
        }
    }

    fn report(&mut self, patch: &Map<String, Value>, now: u64) {
        self.version += 1;
        self.reported.merge(patch, now);
    }

    async fn assert_is_that_of(&self, hub: &HubState, id: &IdentityId, step: &str) {
        let document = twin_document(id, &hub.twin(id).await.unwrap());
        assert_eq!(document["version"], self.version, "{step}");
        assert_eq!(document["etag"], self.etag(), "{step}");
        let tags = self.tags.values();
        assert_eq!(document.get("tags"), Some(&tags).filter(|_| !self.tags.nodes.is_empty()), "{step}");
        assert_eq!(document["properties"]["desired"], self.desired.service_view(), "{step}");
        assert_eq!(document["properties"]["reported"], self.reported.service_view(), "{step}");
        let view: Value = serde_json::from_slice(&hub.twin_for_device(id).await.unwrap()).unwrap();
        let expected =
            json!({ "desired": self.desired.device_view(), "reported": self.reported.device_view() });
        assert_eq!(view, expected, "{step}");
    }
}

/// What stands in a section's patch.
fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 6 } else { 9 }) {
        0 | 1 => Value::Null,
        2 => random.below(5).into(),
        3 => random.one_of(&["x", "é", ""]).into(),
        4 => json!([1, { "a": [true] }]),
        5 => 1.5.into(),
        _ => patch(random, depth - 1).into(),
    }
}

fn patch(random: &mut Random, depth: usize) -> Map<String, Value> {
    let keys: Vec<_> = ["a", "b", "", "ü"].into_iter().filter(|_| random.below(2) == 0).collect();
    keys.into_iter().map(|key| (key.to_owned(), value(random, depth))).collect()
}

/// Put something that breaks a rule somewhere into a section.
fn poison(random: &mut Random, section: &mut Map<String, Value>) {
    // What stands in the hub's own fields is not read.
    let mut values = section.iter_mut().filter(|(key, _)| !key.starts_with('$'));
    let inner = values.find_map(|(_, value)| value.as_object_mut());
    if let (Some(inner), 0) = (inner, random.below(2)) {
        return poison(random, inner);
    }
    let deep = (0..12).fold(json!(1), |inner, _| json!({ "k": inner }));
    let (key, value) = random.one_of(&[
        ("a.b", json!(1)),
        ("$own", json!(1)),
        ("a", json!([1, null])),
        ("a", json!([{ "b": { "c": null } }])),
        ("a", json!(1_u64 << 52)),
        ("b", "x".repeat(4097).into()),
        ("b", deep),
    ]);
    section.insert(key.to_owned(), value);
}

/// A back end's body, and whether it breaks a rule.
fn body(random: &mut Random) -> (Map<String, Value>, bool) {
    let mut body = Map::new();
    match random.below(6) {
        0 => drop(body.insert("tags".to_owned(), Value::Null)),
        1..=3 => drop(body.insert("tags".to_owned(), patch(random, 3).into())),
        _ => {}
    }
    let mut desired = patch(random, 3);
    if random.below(4) == 0 {
        desired.insert("$version".to_owned(), 77.into());
        desired.insert("$metadata".to_owned(), json!({ "a": {} }));
    }
    match random.below(8) {
        0 => drop(body.insert("properties".to_owned(), Value::Null)),
        1 => drop(body.insert("properties".to_owned(), json!({ "desired": null, "reported": { "x": 1 } }))),
        2 => drop(body.insert("properties".to_owned(), json!({}))),
        3..=6 => drop(body.insert("properties".to_owned(), json!({ "desired": desired }))),
        _ => {}
    }
    let mut poisoned = false;
    let wanted = random.one_of(&["/tags", "/properties/desired", "", "", "", "", "", ""]);
    if !wanted.is_empty() {
        let mut whole = Value::from(body);
        if let Some(Value::Object(section)) = whole.pointer_mut(wanted) {
            poison(random, section);
            poisoned = true;
        }
        let Value::Object(whole) = whole else { unreachable!("it was made an object above") };
        body = whole;
    }
    (body, poisoned)
}

/// One write by a back end; which refusals there were.
async fn write(random: &mut Random, hub: &HubState, id: &IdentityId, model: &mut Model) -> &'static str {
    let (how, (body, poisoned)) = (random.one_of(&[TwinWrite::Patch, TwinWrite::Replace]), body(random));
    let stale = IfMatch::Etag(STANDARD.encode((model.revision + 1).to_be_bytes()));
    let condition =
        random.one_of(&[None, Some(IfMatch::Any), Some(IfMatch::Etag(model.etag())), Some(stale.clone())]);
    let expected = match (condition == Some(stale), poisoned) {
        (true, _) => Err(412),
        (false, true) => Err(400),
        (false, false) => Ok(()),
    };
    let outcome = hub.write_twin(id, how, &body, condition).await;
    assert_eq!(outcome.map(drop).map_err(|error| error.code().status()), expected, "{how:?} {body:?}");
    match expected {
        Ok(()) => {
            model.write(how, &body, hub.clock.unix_millis());
            "written"
        }
        Err(412) => "stale",
        Err(_) => "poisoned",
    }
}

/// The same by the device.
async fn report(random: &mut Random, hub: &HubState, id: &IdentityId, model: &mut Model) -> &'static str {
    let mut patch = patch(random, 3);
    let poisoned = random.below(8) == 0;
    if poisoned {
        poison(random, &mut patch);
    }
    let current = model.reported.version;
    let version = random.one_of(&[None, None, Some(current), Some(current + 1)]);
    let expected = match (version == Some(current + 1), poisoned) {
        (true, _) => Err(412),
        (false, true) => Err(400),
        (false, false) => Ok(current + 1),
    };
    let payload = Value::from(patch.clone()).to_string();
    let outcome = hub.patch_reported(id, payload.as_bytes(), version).await;
    assert_eq!(outcome.map_err(|error| error.code().status()), expected, "{payload}");
    match expected {
        Ok(_) => {
            model.report(&patch, hub.clock.unix_millis());
            "reported"
        }
        Err(412) => "unexpected version",
        Err(_) => "poisoned report",
    }
}

#[tokio::test]
async fn any_row_of_writes_leaves_the_twin_of_a_naive_model() {
    let mut random = Random(0x7017);
    let mut happened: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..60 {
        let settings = HubSettings { clock: Clock::manual(START), ..HubSettings::default() };
        let hub = HubState::open(&settings).unwrap();
        create(&hub, "d").await;
        let twins = [IdentityId::parse("d").unwrap(), create(&hub, "d/m").await];
        let mut models = [Model::new(START), Model::new(START)];
        for step in 0..40 {
            hub.clock.advance(Duration::from_millis(1));
            let which = random.below(2);
            let (id, model) = (&twins[which], &mut models[which]);
            let what = if random.below(3) > 0 {
                write(&mut random, &hub, id, model).await
            } else {
                report(&mut random, &hub, id, model).await
            };
            *happened.entry(what).or_default() += 1;
            for (id, model) in twins.iter().zip(&models) {
                model.assert_is_that_of(&hub, id, &format!("step {step}: {what}")).await;
            }
        }
    }
    assert_eq!(happened.len(), 6);
    assert!(happened.values().all(|times| *times > 20), "{happened:?}");
}

#[tokio::test]
async fn a_twin_is_the_same_when_its_hub_is_started_again() {
    let mut random = Random(0xd15c);
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().join("hub.redb"));
    let settings = HubSettings { clock: Clock::manual(START), data, ..HubSettings::default() };
    let mut hub = HubState::open(&settings).unwrap();
    let id = create(&hub, "d").await;
    let mut model = Model::new(START);
    for _ in 0..5 {
        for _ in 0..6 {
            hub.clock.advance(Duration::from_millis(1));
            write(&mut random, &hub, &id, &mut model).await;
            report(&mut random, &hub, &id, &mut model).await;
        }
        hub.store.close();
        hub = HubState::open(&settings).unwrap();
        model.assert_is_that_of(&hub, &id, "after a restart").await;
    }
}
