//! Every limit of a twin at its edge: what is just allowed and what is just too much, in each section and by each way to
//! write it.

use ferrohub::hub::twins::TwinWrite;
use ferrohub::hub::{HubError, HubState};
use ferrohub::protocol::error_code::ErrorCode;
use ferrohub::protocol::identity::IdentityId;
use serde_json::{Map, Value, json};

use crate::hub_queries::{create, empty_hub};
use crate::support::twin_document;

#[derive(Clone, Copy, Debug)]
enum Area {
    Tags,
    Desired,
    Reported,
}

const WAYS: [(Area, TwinWrite); 5] = [
    (Area::Tags, TwinWrite::Patch),
    (Area::Tags, TwinWrite::Replace),
    (Area::Desired, TwinWrite::Patch),
    (Area::Desired, TwinWrite::Replace),
    (Area::Reported, TwinWrite::Patch),
];

impl Area {
    fn largest(self) -> usize {
        if matches!(self, Self::Tags) { 8192 } else { 32_768 }
    }
}

async fn write(
    hub: &HubState,
    id: &IdentityId,
    (area, how): (Area, TwinWrite),
    content: &Value,
) -> Result<(), HubError> {
    let body = match area {
        Area::Tags => json!({ "tags": content }),
        Area::Desired => json!({ "properties": { "desired": content } }),
        Area::Reported => {
            let written = hub.patch_reported(id, content.to_string().as_bytes(), None).await;
            return written.map(drop);
        }
    };
    hub.write_twin(id, how, body.as_object().unwrap(), None).await.map(drop)
}

/// Nothing of it, and the document is as before.
async fn assert_refused(hub: &HubState, id: &IdentityId, way: (Area, TwinWrite), content: &Value) {
    let before = twin_document(id, &hub.twin(id).await.unwrap());
    let error = write(hub, id, way, content).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ARGUMENT_INVALID);
    let text = "Provided json is not a valid 'tags' or 'properties' object: ";
    assert!(error.message().starts_with(text), "{}", error.message());
    assert_eq!(twin_document(id, &hub.twin(id).await.unwrap()), before);
}

/// A section with this key, at its top and in an object.
fn with_key(key: &str) -> [Value; 2] {
    [json!({ key: 1 }), json!({ "outer": { key: 1 } })]
}

/// Objects in one another, so many below the section itself; a scalar stands in the last.
fn nested(objects: usize) -> Value {
    (0..=objects).fold(json!(1), |inner, _| json!({ "k": inner }))
}

/// A section of this size.
fn of_size(size: usize) -> Map<String, Value> {
    let mut content = Map::new();
    let mut left = size;
    while left > 0 {
        let entry = left.min(4000);
        // The key has four bytes.
        content.insert(format!("{:04}", content.len()), "x".repeat(entry - 4).into());
        left -= entry;
    }
    content
}

#[tokio::test]
async fn what_is_just_within_a_limit_is_taken_and_what_is_just_beyond_is_refused() {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let cases: Vec<(Vec<Value>, Vec<Value>)> = vec![
        (with_key(&"k".repeat(1024)).into(), with_key(&"k".repeat(1025)).into()),
        (with_key(&"é".repeat(512)).into(), with_key(&format!("{}k", "é".repeat(512))).into()),
        (
            ["", "-", "_", ":", "/", "%", "*", "ü", "😀", "a b".replace(' ', "_").as_str()]
                .iter()
                .flat_map(|key| with_key(key))
                .collect(),
            [
                ".", "a.b", "$", "$a", "a$b", "#", " ", "a b", "\0", "\u{1f}", "\u{7f}", "\u{85}", "\u{9f}",
                "\n",
            ]
            .iter()
            .flat_map(|key| with_key(key))
            .collect(),
        ),
        (
            vec![json!({ "s": "x".repeat(4096) }), json!({ "s": ["é".repeat(2048)] })],
            vec![json!({ "s": "x".repeat(4097) }), json!({ "s": [format!("{}x", "é".repeat(2048))] })],
        ),
        (vec![nested(10)], vec![nested(11)]),
        (
            ["4503599627370495", "-4503599627370496", "0", "-0", "1.0", "4503599627370496.5", "1e300"]
                .map(|text| json!({ "n": number(text) }))
                .into(),
            ["4503599627370496", "-4503599627370497", "18446744073709551616", "1e999"]
                .map(|text| json!({ "n": [number(text)] }))
                .into(),
        ),
        (
            vec![json!({ "a": [] }), json!({ "a": [[1], { "b": true }, "x"] }), json!({ "a": null })],
            vec![json!({ "a": [null] }), json!({ "a": [[null]] }), json!({ "a": [{ "b": { "c": null } }] })],
        ),
    ];
    for way in WAYS {
        for (allowed, refused) in &cases {
            let hub = empty_hub();
            let id = create(&hub, "d").await;
            for content in allowed {
                assert_eq!(write(&hub, &id, way, content).await, Ok(()), "{way:?} {content}");
            }
            for content in refused {
                assert_refused(&hub, &id, way, content).await;
            }
        }
    }
}

#[tokio::test]
async fn a_section_has_its_size_and_no_byte_more_whether_it_is_written_at_once_or_grows() {
    for way in WAYS {
        let (hub, largest) = (empty_hub(), way.0.largest());
        let id = create(&hub, "d").await;
        assert_refused(&hub, &id, way, &of_size(largest + 1).into()).await;
        assert_eq!(write(&hub, &id, way, &of_size(largest).into()).await, Ok(()), "{way:?}");
        if way.1 == TwinWrite::Replace {
            continue;
        }
        assert_refused(&hub, &id, way, &json!({ "k": "" })).await;
        // What a patch removes makes room for what it brings, and an empty name takes none.
        assert_eq!(write(&hub, &id, way, &json!({ "": {} })).await, Ok(()));
        let exchanged = json!({ "0000": null, "k": "x".repeat(3999) });
        assert_eq!(write(&hub, &id, way, &exchanged).await, Ok(()));
        assert_refused(&hub, &id, way, &json!({ "k": "x".repeat(4000) })).await;
    }
}

#[tokio::test]
async fn sizes_are_those_of_names_strings_numbers_and_booleans() {
    let way = (Area::Tags, TwinWrite::Patch);
    for (content, size) in [
        (json!({ "k": "é" }), 3),
        (json!({ "k": "a\u{1}\u{85}" }), 2),
        (json!({ "k": 1.234_567 }), 9),
        (json!({ "k": true }), 5),
        (json!({ "k": {} }), 1),
        (json!({ "k": { "é": [1, "x", false] } }), 1 + 2 + 8 + 1 + 4),
    ] {
        let hub = empty_hub();
        let id = create(&hub, "d").await;
        write(&hub, &id, way, &of_size(8192 - size).into()).await.unwrap();
        assert_eq!(write(&hub, &id, way, &content).await, Ok(()), "{content}");
        assert_refused(&hub, &id, way, &json!({ "l": "" })).await;
    }
}
