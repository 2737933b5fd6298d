//! Why a hub says no, in its own words: they stand in the body of its answer in one of three forms.
//!
//! Used by clients to tell people; programs go by the status.

use std::fmt;

use serde_json::Value;

/// The hub's own words. `Display` gives all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name of the error code, where it stands beside the sentence: without it "dev1" says little.
    pub code: Option<String>,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// Read a body such as `{"Message":"ErrorCode:DeviceNotFound;dev1"}`, `{"message":"…"}`, or `{"Message":"{…}"}` with
    /// the second form as a text in it. None if it is no such body.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = body["Message"].as_str().or_else(|| body["message"].as_str())?;
        if let Ok(Value::Object(inner)) = serde_json::from_str(text) {
            let message = inner.get("message")?.as_str()?.to_owned();
            return Some(Self { code: None, message });
        }
        let coded = text.strip_prefix("ErrorCode:").and_then(|coded| coded.split_once(';'));
        let code = coded.map(|(code, _)| code.to_owned());
        Some(Self { code, message: coded.map_or(text, |(_, message)| message).to_owned() })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(formatter, "{code}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_sentence() {
        let cases = [
            (
                r#"{"Message":"ErrorCode:DeviceNotFound;dev1","ExceptionMessage":"…"}"#,
                Some("DeviceNotFound: dev1"),
            ),
            (r#"{"errorCode":400004,"message":"too deep"}"#, Some("too deep")),
            (r#"{"Message":"{\"errorCode\":404103,\"message\":\"not online\"}"}"#, Some("not online")),
            (r#"{"Message":"plain"}"#, Some("plain")),
            ("{}", None),
            ("<html>", None),
        ];
        for (body, expected) in cases {
            let refusal = Refusal::read(body.as_bytes()).map(|refusal| refusal.to_string());
            assert_eq!(refusal.as_deref(), expected, "{body}");
        }
    }
}
