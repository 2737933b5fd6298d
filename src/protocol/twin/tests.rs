//! Twins: what a write leaves, what the device is told, and that any row of patches is that of RFC 7396.

use super::*;

const CREATED: u64 = 1_709_288_130_123;
const LATER: u64 = 1_709_288_160_765;

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn service_view(section: &Section) -> Value {
    section.service_view().to_value()
}

fn update(body: &str, twin: &Twin) -> TwinUpdate {
    TwinUpdate::from_body(&object(body), twin).unwrap()
}

fn patched(twin: &mut Twin, body: &str) -> Option<String> {
    let update = update(body, twin);
    twin.patch(&update, LATER).unwrap().map(|told| Value::from(told).to_string())
}

fn desired(twin: &Twin) -> String {
    service_view(&twin.desired).to_string()
}

#[test]
fn the_tutorials_update_looks_as_the_service_shows_it() {
    let mut twin = Twin::new(CREATED);
    let empty = r#"{"$metadata":{"$lastUpdated":"2024-03-01T10:15:30.1230000Z"},"$version":1}"#;
    assert_eq!(desired(&twin), empty);
    assert_eq!(service_view(&twin.reported).to_string(), empty);
    assert_eq!((twin.version, twin.revision), (2, 1));

    let told = patched(&mut twin, r#"{"properties": {"desired": {"telemetryInterval": 122}}}"#);
    assert_eq!(told.unwrap(), r#"{"telemetryInterval":122,"$version":2}"#);
    let time = "2024-03-01T10:16:00.7650000Z";
    assert_eq!(
        desired(&twin),
        format!(
            r#"{{"telemetryInterval":122,"$metadata":{{"$lastUpdated":"{time}","telemetryInterval":{{"$lastUpdated":"{time}","$lastUpdatedVersion":2}},"$lastUpdatedVersion":2}},"$version":2}}"#
        )
    );
    assert_eq!(service_view(&twin.reported).to_string(), empty);
    assert_eq!((twin.version, twin.revision), (3, 2));
}

#[test]
fn a_report_leaves_the_services_etag_and_has_no_last_updated_version() {
    let mut twin = Twin::new(CREATED);
    assert_eq!(twin.report(&object(r#"{"a":{"b":1}}"#), LATER), Ok(2));
    assert_eq!((twin.version, twin.revision), (3, 1));
    assert!(!service_view(&twin.reported).to_string().contains("$lastUpdatedVersion"));
    assert_eq!(
        twin.device_view().to_string(),
        r#"{"desired":{"$version":1},"reported":{"a":{"b":1},"$version":2}}"#
    );
}

#[test]
fn null_removes_and_is_told_as_it_was_sent() {
    let mut twin = Twin::new(CREATED);
    patched(&mut twin, r#"{"properties":{"desired":{"a":1,"b":{"c":2,"d":3},"e":4}}}"#);
    let told = patched(&mut twin, r#"{"properties":{"desired":{"a":null,"b":{"d":null},"x":{"y":null}}}}"#);
    assert_eq!(told.unwrap(), r#"{"a":null,"b":{"d":null},"x":{"y":null},"$version":3}"#);
    let view = Value::from(twin.desired.device_view()).to_string();
    assert_eq!(view, r#"{"b":{"c":2},"e":4,"x":{},"$version":3}"#);
    let metadata = &service_view(&twin.desired)[METADATA];
    assert!(metadata.get("a").is_none() && metadata["b"].get("d").is_none());
    assert_eq!(metadata["x"][LAST_UPDATED_VERSION], 3);
}

#[test]
fn only_what_is_touched_and_what_is_around_it_gets_a_new_stamp() {
    let mut twin = Twin::new(CREATED);
    patched(&mut twin, r#"{"properties":{"desired":{"a":{"b":1,"c":1},"d":1}}}"#);
    patched(&mut twin, r#"{"properties":{"desired":{"a":{"b":2}}}}"#);
    let metadata = &service_view(&twin.desired)[METADATA];
    let version = |value: &Value| value[LAST_UPDATED_VERSION].as_u64().unwrap();
    assert_eq!((version(metadata), version(&metadata["a"]), version(&metadata["a"]["b"])), (3, 3, 3));
    assert_eq!((version(&metadata["a"]["c"]), version(&metadata["d"])), (2, 2));
}

#[test]
fn objects_scalars_and_arrays_take_each_others_place() {
    let mut twin = Twin::new(CREATED);
    patched(&mut twin, r#"{"properties":{"desired":{"a":{"b":1}}}}"#);
    patched(&mut twin, r#"{"properties":{"desired":{"a":[1,{"x":2}]}}}"#);
    assert!(service_view(&twin.desired)[METADATA]["a"].get("b").is_none());
    patched(&mut twin, r#"{"properties":{"desired":{"a":{"c":1}}}}"#);
    assert_eq!(Value::from(twin.desired.device_view()).to_string(), r#"{"a":{"c":1},"$version":4}"#);
    assert_eq!(service_view(&twin.desired)[METADATA]["a"]["c"][LAST_UPDATED_VERSION], 4);
}

#[test]
fn numbers_keep_their_spelling_and_keys_their_order() {
    let mut twin = Twin::new(CREATED);
    let text = r#"{"z":1.0,"a":1,"m":0.10000000000000000001,"e":1.5e-7}"#;
    patched(&mut twin, &format!(r#"{{"properties":{{"desired":{text}}}}}"#));
    patched(&mut twin, r#"{"properties":{"desired":{"a":null}}}"#);
    let expected = r#"{"z":1.0,"m":0.10000000000000000001,"e":1.5e-7,"$version":3}"#;
    assert_eq!(Value::from(twin.desired.device_view()).to_string(), expected);
}

#[test]
fn tags_merge_without_metadata_and_without_telling_the_device() {
    let mut twin = Twin::new(CREATED);
    assert_eq!(patched(&mut twin, r#"{"tags":{"site":{"room":1,"floor":2}}}"#), None);
    assert_eq!(patched(&mut twin, r#"{"tags":{"site":{"room":null}}}"#), None);
    assert_eq!(Value::from(twin.tags.clone()).to_string(), r#"{"site":{"floor":2}}"#);
    assert_eq!((twin.version, twin.revision, twin.desired.version()), (4, 3, 1));
    patched(&mut twin, r#"{"tags":null}"#);
    assert!(twin.tags.is_empty());
    let before = twin.clone();
    patched(&mut twin, r#"{"properties":{}}"#);
    assert_eq!(twin, before, "a patch of nothing is no write");
}

#[test]
fn a_replacement_leaves_nothing_of_what_was_there() {
    let mut twin = Twin::new(CREATED);
    patched(&mut twin, r#"{"tags":{"t":1},"properties":{"desired":{"a":1,"b":2}}}"#);
    let body = update(r#"{"properties":{"desired":{"c":3,"n":null}}}"#, &twin);
    let told = twin.replace(&body, LATER).unwrap();
    assert_eq!(Value::from(told).to_string(), r#"{"c":3,"$version":3}"#);
    assert!(twin.tags.is_empty());
    assert!(service_view(&twin.desired)[METADATA].get("a").is_none());
}

#[test]
fn a_twin_that_was_read_can_be_sent_back() {
    let mut twin = Twin::new(CREATED);
    patched(&mut twin, r#"{"properties":{"desired":{"a":1}}}"#);
    let (desired, reported) = (service_view(&twin.desired), service_view(&twin.reported));
    let body = json!({
        "deviceId": "d", "etag": "AAAAAAAAAAI=", "version": 3,
        "properties": { "desired": desired, "reported": reported }
    });
    let update = TwinUpdate::from_body(body.as_object().unwrap(), &twin).unwrap();
    let told = twin.patch(&update, LATER).unwrap().unwrap();
    assert_eq!(Value::from(told).to_string(), r#"{"a":1,"$version":3}"#);
}

#[test]
fn a_refused_report_changes_nothing() {
    let mut twin = Twin::new(CREATED);
    let before = twin.clone();
    for patch in [r#"{"$version":3}"#, r#"{"a":1,"b":[null]}"#] {
        assert!(twin.report(&object(patch), LATER).is_err());
        assert_eq!(twin, before);
    }
}

/// RFC 7396 in its own words, to compare with.
fn merge_patch(target: &Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else { return patch.clone() };
    let mut merged = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            merged.shift_remove(key);
        } else {
            let old = merged.get(key).cloned().unwrap_or(Value::Null);
            merged.insert(key.clone(), merge_patch(&old, value));
        }
    }
    merged.into()
}

/// A small tree that a number stands for; numbers in a row give all kinds of trees.
fn tree(seed: &mut u64, depth: u32) -> Value {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    match (*seed >> 33) % if depth == 0 { 3 } else { 6 } {
        0 => Value::Null,
        1 => json!((*seed >> 40) % 10),
        2 => json!([(*seed >> 40) % 10]),
        _ => (0..3)
            .map(|_| (["a", "b", "c", "d"][(*seed >> 50) as usize % 4].to_owned(), tree(seed, depth - 1)))
            .collect(),
    }
}

/// The metadata mirrors the values: an object for each object, a leaf for everything else.
fn assert_mirrors(values: &Map<String, Value>, metadata: &Map<String, Value>) {
    let keys = metadata.keys().filter(|key| !key.starts_with('$'));
    let mut described: Vec<_> = keys.collect();
    let mut present: Vec<_> = values.keys().collect();
    described.sort();
    present.sort();
    assert_eq!(described, present);
    assert!(metadata.contains_key(LAST_UPDATED) && metadata.contains_key(LAST_UPDATED_VERSION));
    for (key, value) in values {
        let metadata = metadata[key].as_object().unwrap();
        match value {
            Value::Object(values) => assert_mirrors(values, metadata),
            _ => assert_eq!(metadata.len(), 2),
        }
    }
}

#[test]
fn any_row_of_patches_gives_what_the_merge_patch_rfc_says() {
    let mut seed = 7;
    for _ in 0..200 {
        let mut section = Section::new(SectionKind::Desired, CREATED);
        let mut expected = json!({});
        for version in 2..6 {
            let patch = tree(&mut seed, 3);
            let Value::Object(patch) = &patch else { continue };
            section.patch(patch, LATER).unwrap();
            expected = merge_patch(&expected, &patch.clone().into());
            assert!(section.version() <= version);
            assert_eq!(Value::from(section.values.clone()), expected);
            assert_mirrors(&section.values, &section.metadata());
        }
    }
}
