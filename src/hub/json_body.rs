//! JSON that comes in, and what is wrong with it: where, in which field, and what belongs there; never what stands there,
//! as it may be a key.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Error;

use super::error::HubError;

/// What a text of JSON describes.
///
/// # Errors
/// 400 if it is no JSON, or has another form.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, HubError> {
    serde_json::from_slice(text).map_err(|error| {
        // Of a number where a name belongs serde_json says that it is no JSON.
        let is_json = !is_too_deep(&error) && serde_json::from_slice::<IgnoredAny>(text).is_ok();
        if is_json { other_form(&error, field::<T>(text).as_deref()) } else { no_json(&error) }
    })
}

/// Which field it is that has another form. Only then is it looked for: keeping account of it takes time.
fn field<T: DeserializeOwned>(text: &[u8]) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let path = serde_path_to_error::deserialize::<_, T>(&mut reader).err()?.path().to_string();
    Some(path).filter(|path| path != ".")
}

impl From<Error> for HubError {
    fn from(error: Error) -> Self {
        if error.is_data() { other_form(&error, None) } else { no_json(&error) }
    }
}

fn other_form(error: &Error, field: Option<&str>) -> HubError {
    let field = field.map(|field| format!(", in {field}")).unwrap_or_default();
    let wanted = wanted(&error.to_string());
    HubError::invalid(format!("The body has another form than expected{field}{wanted}, {}.", place(error)))
}

fn no_json(error: &Error) -> HubError {
    let what = if is_too_deep(error) { "nested more than 127 levels deep" } else { "not valid JSON" };
    HubError::invalid(format!("The body is {what}, {}.", place(error)))
}

fn is_too_deep(error: &Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

fn place(error: &Error) -> String {
    format!("at line {} column {}", error.line(), error.column())
}

/// What serde says belongs there, in the words of JSON. Before that it says what stands there.
fn wanted(told: &str) -> String {
    let told = told.rsplit_once(" at line ").map_or(told, |(told, _)| told);
    if let Some(name) = told.strip_prefix("missing field ") {
        return format!(": {} is missing", name.replace('`', ""));
    }
    let Some((_, wanted)) = told.rsplit_once(", expected ") else { return String::new() };
    let wanted = match wanted {
        "a map" => "an object",
        "a sequence" => "an array",
        "a string" | "a boolean" => wanted,
        "string or map" => "a string",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("one of ") => other,
        other if other.starts_with(['u', 'i']) && other[1..].parse::<u8>().is_ok() => "a whole number",
        _ => return String::new(),
    };
    format!(": {} belongs there", wanted.replace('`', ""))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::super::bulk::Change;
    use super::super::identity_body::IdentityBody;
    use super::super::methods::MethodBody;
    use super::*;

    fn told<T: DeserializeOwned>(text: &str) -> String {
        read::<T>(text.as_bytes()).err().unwrap().message().to_owned()
    }

    #[test]
    fn an_error_names_the_field_and_what_belongs_there_and_not_what_stands_there() {
        let kinds = "one of sas, selfSigned, certificateAuthority, none";
        for (text, expected) in [
            (
                r#"{"authentication":{"type":"magic"}}"#,
                format!(", in authentication.type: {kinds} belongs there, at"),
            ),
            (r#"{"status":5}"#, ", in status, at line 1 column 11.".to_owned()),
            (
                r#"{"statusReason":["key, expected 5"]}"#,
                ", in statusReason: a string belongs there, at".to_owned(),
            ),
            (
                r#"{"capabilities":{"iotEdge":"key"}}"#,
                ", in capabilities.iotEdge: a boolean belongs there".to_owned(),
            ),
            (r#"{"parentScopes":["a",1]}"#, ", in parentScopes[1]: a string belongs there".to_owned()),
            ("[]", ": an object belongs there, at line 1 column 2.".to_owned()),
        ] {
            let told = told::<IdentityBody>(text);
            assert!(told.contains(&format!("another form than expected{expected}")), "{told}");
            assert!(!told.contains("key") && !told.contains("magic"), "{told}");
        }
        let method = told::<MethodBody>(r#"{"payload":{"a":[1.0]},"responseTimeoutInSeconds":"5"}"#);
        assert!(method.contains("in responseTimeoutInSeconds: a whole number belongs there"), "{method}");
        let change = told::<Vec<Change>>(r#"[{"id":"a","importMode":"create"},{"importMode":"make"}]"#);
        assert!(change.contains("in [1].importMode: one of createOrUpdate, "), "{change}");
        assert!(told::<Vec<Change>>("[{}]").contains(": id is missing, at"));
        assert!(told::<Vec<Change>>("{}").contains(": an array belongs there, at"));
    }

    #[test]
    fn what_is_too_deep_is_not_called_invalid() {
        let deep = |levels| format!("{}{}{}", r#"{"a":"#.repeat(levels), 1, "}".repeat(levels));
        assert!(read::<Map<String, Value>>(deep(127).as_bytes()).is_ok());
        assert!(
            told::<Map<String, Value>>(&deep(128)).contains("nested more than 127 levels deep, at line 1")
        );
        assert_eq!(told::<Value>("{"), "The body is not valid JSON, at line 1 column 1.");
    }
}
