//! The properties of a message as they stand in its topic: `key=value` joined by `&`, percent-encoded.
//!
//! System properties come first, under keys such as `$.mid`; the rest is the application's.
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct>

use percent_encoding::percent_decode_str;

use crate::auth::quote_component;

/// Join properties in their order, keys and values percent-encoded.
#[must_use]
pub fn encode<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = properties
        .into_iter()
        .map(|(key, value)| format!("{}={}", quote_component(key), quote_component(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Split properties; a key without `=` has no value. `+` is not a space.
#[must_use]
pub fn decode(text: &str) -> Vec<(String, Option<String>)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value))))
        .map(|(key, value)| (unquote(key), value.map(unquote)))
        .collect()
}

fn unquote(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_written_as_the_official_package_writes_them() {
        let properties =
            [("$.on", "out 1/x"), ("$.mid", "mid 1/+&=?"), ("$.cid", "c#1"), ("", ""), ("b key", "v 1/%&=")];
        assert_eq!(
            encode(properties),
            "%24.on=out%201%2Fx&%24.mid=mid%201%2F%2B%26%3D%3F&%24.cid=c%231&=&b%20key=v%201%2F%25%26%3D"
        );
    }

    #[test]
    fn what_was_encoded_is_decoded_in_order() {
        let properties = [("a=b", "c=d"), ("é", "+ "), ("k", "")];
        let decoded = decode(&encode(properties));
        let expected: Vec<_> =
            properties.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        assert_eq!(decoded, expected);
        assert_eq!(decode("flag&x=a=b"), [("flag".into(), None), ("x".into(), Some("a=b".into()))]);
        assert_eq!(decode("a+b=1+2"), [("a+b".into(), Some("1+2".into()))], "a plus is no space here");
    }
}
