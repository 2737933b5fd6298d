//! Configurations in a transfer: one line of JSON for each, with names in Pascal case.

use serde_json::{Map, Value, json};

use super::add_line;
use crate::hub::HubState;
use crate::hub::configurations::ConfigurationBody;
use crate::hub::error::HubError;
use crate::hub::registry::IfMatch;
use crate::protocol::error_code::ErrorCode;

/// Whose own names are those of the hub; below, and in all others, they are the user's.
const OBJECTS: [&str; 3] = ["content", "systemMetrics", "metrics"];

impl HubState {
    /// All of them.
    pub(super) async fn configuration_lines(&self) -> Result<Vec<u8>, HubError> {
        let mut lines = Vec::new();
        for configuration in self.all_configurations(usize::MAX).await? {
            add_line(&mut lines, &renamed(configuration.body, str::to_ascii_uppercase))?;
        }
        Ok(lines)
    }

    /// Create those that these lines hold, or change them; what went wrong.
    pub(super) async fn import_configurations(&self, text: &str) -> Vec<Value> {
        let mut errors = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let body = renamed(serde_json::from_str(line).unwrap_or_default(), str::to_ascii_lowercase);
            let id = body["id"].as_str().unwrap_or_default().to_owned();
            if let Err(error) = self.import_configuration(&id, body).await {
                errors.push(json!({
                    "configurationId": id, "errorCode": error.code().name(), "errorStatus": error.message(),
                }));
            }
        }
        errors
    }

    async fn import_configuration(&self, id: &str, body: Value) -> Result<(), HubError> {
        let body: ConfigurationBody = serde_json::from_value(body)?;
        match self.put_configuration(id, body.clone(), None).await {
            Err(error) if error.code() == ErrorCode::CONFIGURATION_ALREADY_EXISTS => {
                self.put_configuration(id, body, Some(IfMatch::Any)).await.map(drop)
            }
            put => put.map(drop),
        }
    }
}

/// With the first letter of the hub's own names changed.
fn renamed(value: Value, first: fn(&str) -> String) -> Value {
    let Value::Object(object) = value else { return value };
    let rename = |name: String| match name.split_at_checked(1) {
        Some((letter, rest)) => format!("{}{rest}", first(letter)),
        None => name,
    };
    let cells = object.into_iter().map(|(name, value)| {
        let is_own = OBJECTS.iter().any(|own| own.eq_ignore_ascii_case(&name));
        let value = match value {
            Value::Object(inner) if is_own => {
                inner.into_iter().map(|(name, value)| (rename(name), value)).collect()
            }
            value => value,
        };
        (rename(name), value)
    });
    cells.collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_own_names_change_and_those_of_users_do_not() {
        let ours = json!({
            "id": "c", "labels": { "a": "b" }, "content": { "deviceContent": { "properties.desired.x": { "y": 1 } } },
            "metrics": { "queries": { "q": "SELECT" } },
        });
        let theirs = json!({
            "Id": "c", "Labels": { "a": "b" }, "Content": { "DeviceContent": { "properties.desired.x": { "y": 1 } } },
            "Metrics": { "Queries": { "q": "SELECT" } },
        });
        assert_eq!(renamed(ours.clone(), str::to_ascii_uppercase), theirs);
        assert_eq!(renamed(theirs, str::to_ascii_lowercase), ours);
    }
}
