//! JSON that is put together of what is there already: nothing is copied before it is written.
//!
//! Documents of twins are views, and answers to queries consist of thousands of them. `serde_json` can write a view as
//! anything else; [`View::write`] writes the same text several times as fast.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// JSON whose parts are borrowed where they may be large.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum View<'v> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A string.
    Text(Cow<'v, str>),
    /// An array of strings.
    Texts(&'v [String]),
    /// An object as it is.
    Object(&'v Map<String, Value>),
    /// JSON that is written already.
    Json(&'v RawValue),
    /// Any JSON as it is.
    Value(Cow<'v, Value>),
    /// An object that is put together, in this order.
    #[serde(serialize_with = "as_object")]
    Entries(Vec<(&'v str, View<'v>)>),
}

fn as_object<S: Serializer>(entries: &[(&str, View<'_>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}

impl View<'_> {
    /// Write it, as `serde_json` does without spaces, behind what the text holds.
    pub fn write(&self, text: &mut Vec<u8>) {
        match self {
            Self::Null => text.extend_from_slice(b"null"),
            Self::Bool(value) => write_bool(*value, text),
            Self::Number(number) => write_number(*number, text),
            Self::Text(string) => write_string(string, text),
            Self::Texts(strings) => write_array(strings, |string, text| write_string(string, text), text),
            Self::Object(object) => write_map(object, text),
            Self::Json(json) => text.extend_from_slice(json.get().as_bytes()),
            Self::Value(value) => write_value(value, text),
            Self::Entries(entries) => {
                let entries = entries.iter().map(|(key, value)| (*key, value));
                write_object(entries, View::write, text);
            }
        }
    }

    /// A copy of it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Every key is a text: nothing can fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn write_value(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Null => text.extend_from_slice(b"null"),
        Value::Bool(value) => write_bool(*value, text),
        Value::Number(number) => text.extend_from_slice(number.as_str().as_bytes()),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => write_array(items, write_value, text),
        Value::Object(object) => write_map(object, text),
    }
}

fn write_bool(value: bool, text: &mut Vec<u8>) {
    text.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_number(number: u64, text: &mut Vec<u8>) {
    if number >= 10 {
        write_number(number / 10, text);
    }
    #[allow(clippy::cast_possible_truncation, reason = "it is a digit")]
    text.push(b'0' + (number % 10) as u8);
}

fn write_map(object: &Map<String, Value>, text: &mut Vec<u8>) {
    write_object(object.iter().map(|(key, value)| (key.as_str(), value)), write_value, text);
}

fn write_object<'v, V>(
    entries: impl Iterator<Item = (&'v str, V)>,
    write: impl Fn(V, &mut Vec<u8>),
    text: &mut Vec<u8>,
) {
    text.push(b'{');
    for (place, (key, value)) in entries.enumerate() {
        if place > 0 {
            text.push(b',');
        }
        write_string(key, text);
        text.push(b':');
        write(value, text);
    }
    text.push(b'}');
}

fn write_array<T>(items: &[T], write: impl Fn(&T, &mut Vec<u8>), text: &mut Vec<u8>) {
    text.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            text.push(b',');
        }
        write(item, text);
    }
    text.push(b']');
}

/// Most strings stand in JSON as they are, and are copied at once; `serde_json` knows how to write the others.
fn write_string(string: &str, text: &mut Vec<u8>) {
    let has_escape = string.bytes().fold(false, |found, byte| found | must_be_escaped(byte));
    if has_escape {
        text.extend_from_slice(Value::from(string).to_string().as_bytes());
        return;
    }
    text.reserve(string.len() + 2);
    text.push(b'"');
    text.extend_from_slice(string.as_bytes());
    text.push(b'"');
}

/// RFC 8259, 7.
fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

impl From<u64> for View<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for View<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'v> From<&'v str> for View<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for View<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// `null` if there is none.
impl<'v> From<Option<&'v str>> for View<'v> {
    fn from(text: Option<&'v str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

impl<'v> From<&'v Map<String, Value>> for View<'v> {
    fn from(object: &'v Map<String, Value>) -> Self {
        Self::Object(object)
    }
}

impl From<Value> for View<'_> {
    fn from(value: Value) -> Self {
        Self::Value(Cow::Owned(value))
    }
}

impl<'v, const N: usize> From<[(&'v str, View<'v>); N]> for View<'v> {
    fn from(entries: [(&'v str, View<'v>); N]) -> Self {
        Self::Entries(entries.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(view: &View<'_>) -> String {
        let mut text = Vec::new();
        view.write(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn it_is_written_as_serde_json_writes_it() {
        let deep = r#"{"b":[1.0,-0,1e+400,[],{},null,true],"a":{"$x":"\"q\\"},"":false,"n":123456789012345678901234567890}"#;
        let deep: Map<String, Value> = serde_json::from_str(deep).unwrap();
        let raw = RawValue::from_string(r#"{"a":[1.50]}"#.to_owned()).unwrap();
        let texts = ["plain".to_owned(), "tab\there".to_owned()];
        let view = View::from([
            ("none", None.into()),
            ("yes", true.into()),
            ("numbers", [("0", 0.into()), ("10", 10.into()), ("most", u64::MAX.into())].into()),
            ("texts", View::Texts(&texts)),
            ("no texts", View::Texts(&[])),
            ("nothing", View::Entries(Vec::new())),
            ("deep", (&deep).into()),
            ("raw", View::Json(&raw)),
            ("\"\u{1}", json!(["x"]).into()),
        ]);
        assert_eq!(written(&view), serde_json::to_string(&view).unwrap());
        assert_eq!(written(&view), view.to_value().to_string());
        assert!(
            written(&view).contains(r#""b":[1.0,-0,1e+400,[],{},null,true],"a":{"$x":"\"q\\"},"":false"#)
        );
    }

    #[test]
    fn every_character_stands_in_a_string_as_serde_json_has_it() {
        for character in (0..0x300).chain([0x2028, 0xfeff, 0xffff, 0x1_f600]).filter_map(char::from_u32) {
            for text in [format!("{character}"), format!("a long text before {character} and after it")] {
                assert_eq!(written(&text.as_str().into()), Value::from(text.clone()).to_string());
            }
        }
    }
}
