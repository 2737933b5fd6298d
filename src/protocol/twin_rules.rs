//! What tags and properties may hold: names, values, depth and sizes.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#tags-and-properties-format>

use serde_json::{Map, Number, Value};

const LONGEST_KEY: usize = 1024;
const LONGEST_STRING: usize = 4096;
const DEEPEST: usize = 10;
const INTEGERS: std::ops::RangeInclusive<i128> = -4_503_599_627_370_496..=4_503_599_627_370_495;

/// A rule that a twin breaks; the text is what the hub answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Provided json is not a valid 'tags' or 'properties' object: {0}.")]
pub struct InvalidTwin(String);

impl InvalidTwin {
    /// Something that has to be an object isn't one.
    pub(super) fn not_an_object(name: &str) -> Self {
        Self(format!("'{name}' has to be an object"))
    }
}

/// What has a size limit of its own.
pub(super) struct Area {
    name: &'static str,
    largest: usize,
}

pub(super) const TAGS: Area = Area { name: "tags", largest: 8 * 1024 };
pub(super) const PROPERTIES: Area = Area { name: "properties", largest: 32 * 1024 };

/// Check the names and values of tags, properties, or a patch for them.
pub(super) fn check_content(content: &Map<String, Value>) -> Result<(), InvalidTwin> {
    check_object(content, 0)
}

/// Check the size of all tags, or of all properties of a section, together.
pub(super) fn check_size(area: &Area, content: &Map<String, Value>) -> Result<(), InvalidTwin> {
    let (size, largest) = (size_of_object(content), area.largest);
    if size <= largest {
        return Ok(());
    }
    let name = area.name;
    Err(InvalidTwin(format!("the {name} are {size} bytes in size, and at most {largest} are allowed")))
}

fn check_object(object: &Map<String, Value>, depth: usize) -> Result<(), InvalidTwin> {
    for (key, value) in object {
        check_key(key)?;
        check_value(value, depth)?;
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), InvalidTwin> {
    let forbidden = |c: char| c.is_control() || matches!(c, '.' | '$' | '#' | ' ');
    if key.len() > LONGEST_KEY {
        return Err(InvalidTwin(format!("a key is longer than {LONGEST_KEY} bytes")));
    }
    match key.chars().find(|c| forbidden(*c)) {
        Some(found) => Err(InvalidTwin(format!(
            "the key '{}' holds the character {found:?}; keys hold no '.', '$', '#', space or control character",
            key.escape_debug()
        ))),
        None => Ok(()),
    }
}

/// `depth` counts the objects and arrays around the value, the section itself not among them.
fn check_value(value: &Value, depth: usize) -> Result<(), InvalidTwin> {
    match value {
        Value::Number(number) => check_number(number),
        Value::String(text) if text.len() > LONGEST_STRING => {
            Err(InvalidTwin(format!("a string is longer than {LONGEST_STRING} bytes")))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Object(_) | Value::Array(_) if depth == DEEPEST => {
            Err(InvalidTwin(format!("it is more than {DEEPEST} levels deep")))
        }
        Value::Object(object) => check_object(object, depth + 1),
        Value::Array(_) if holds_null(value) => Err(InvalidTwin("arrays hold no null".to_owned())),
        Value::Array(items) => items.iter().try_for_each(|item| check_value(item, depth + 1)),
    }
}

/// At any depth: what stands in an array is written as it is, so a null would not remove anything.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(object) => object.values().any(holds_null),
        _ => false,
    }
}

fn check_number(number: &Number) -> Result<(), InvalidTwin> {
    let text = number.as_str();
    let integer = !text.contains(['.', 'e', 'E']);
    let fits = if integer {
        text.parse().is_ok_and(|integer| INTEGERS.contains(&integer))
    } else {
        text.parse().is_ok_and(f64::is_finite)
    };
    if fits {
        return Ok(());
    }
    let (low, high) = (INTEGERS.start(), INTEGERS.end());
    Err(InvalidTwin(format!("a number is out of range; integers go from {low} to {high}")))
}

fn size_of_object(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| key.len() + size_of_value(value)).sum()
}

/// As documented: strings by their UTF-8 length without control characters, numbers 8, booleans 4.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.chars().filter(|c| !c.is_control()).map(char::len_utf8).sum(),
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(object) => size_of_object(object),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(content: Value) -> Result<(), InvalidTwin> {
        let Value::Object(content) = content else { panic!("not an object") };
        check_content(&content)
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!({ "k": inner }))
    }

    #[test]
    fn keys_hold_no_forbidden_characters_and_up_to_1024_bytes() {
        for key in ["", "a-b_c:d", "ü", &"k".repeat(1024)] {
            assert_eq!(check(json!({ key: 1 })), Ok(()), "{key}");
        }
        for key in ["a.b", "$a", "a$", "a b", "a#", "a\u{1}", "a\u{85}", &"k".repeat(1025)] {
            assert!(check(json!({ "outer": { key: 1 } })).is_err(), "{key:?}");
        }
        let error = check(json!({ "a.b": 1 })).unwrap_err().to_string();
        assert!(
            error.starts_with("Provided json is not a valid 'tags' or 'properties' object: the key 'a.b'")
        );
    }

    #[test]
    fn a_scalar_may_stand_in_the_tenth_level_and_no_object_below_it() {
        let Value::Object(section) = nested(11) else { panic!() };
        assert_eq!(check_content(&section), Ok(()));
        assert!(check(nested(12)).is_err());
    }

    #[test]
    fn integers_are_within_52_bits_and_fractions_finite() {
        for number in ["-4503599627370496", "4503599627370495", "1.5", "1e300", "0.0", "-0"] {
            assert_eq!(
                check(json!({ "n": serde_json::from_str::<Value>(number).unwrap() })),
                Ok(()),
                "{number}"
            );
        }
        for number in ["-4503599627370497", "4503599627370496", "99999999999999999999999999", "1e999"] {
            assert!(
                check(json!({ "n": serde_json::from_str::<Value>(number).unwrap() })).is_err(),
                "{number}"
            );
        }
    }

    #[test]
    fn strings_have_up_to_4096_bytes_and_arrays_no_null() {
        assert_eq!(check(json!({ "s": "x".repeat(4096), "a": [1, "b", [true]], "n": null })), Ok(()));
        assert!(check(json!({ "s": "é".repeat(2049) })).is_err());
        assert!(check(json!({ "a": [1, null] })).is_err());
        assert!(check(json!({ "a": [{ "b": { "c": null } }] })).is_err());
        assert!(check(json!({ "a": [{ "b.c": 1 }] })).is_err());
    }

    #[test]
    fn sizes_count_keys_strings_numbers_and_booleans() {
        let content = json!({ "ab": "cd\u{7}é", "n": 1.25, "b": true, "o": { "k": [1, "xyz"] }, "z": null });
        assert_eq!(size_of_value(&content), 2 + 4 + 1 + 8 + 1 + 4 + 1 + 1 + 8 + 3 + 1);
        let strings: Map<String, Value> =
            (0..8).map(|index| (index.to_string(), "x".repeat(1023).into())).collect();
        assert_eq!(check_size(&TAGS, &strings), Ok(()));
        let mut larger = strings;
        larger.insert(String::new(), true.into());
        assert!(check_size(&TAGS, &larger).is_err());
        assert_eq!(check_size(&PROPERTIES, &larger), Ok(()));
    }
}
